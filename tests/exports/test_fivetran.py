"""Fivetran's tables of Salesforce, SAP and Zendesk: the shipped mappings take them.

Only the declarations differ, in what the connector calls a column. SAP's address tables
are not among Fivetran's samples: their columns are those of SAP's own field list.
"""

import csv
from pathlib import Path

import pytest
import yaml

from cdp_assets.streams.spec import StreamSpec
from tests.exports.overlay import EXPORTS, Export, harmonise, load_streams

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fivetran")]

SEEDS = {
    "crm_contact": "fivetran_salesforce/sf_contact_data.csv",
    "crm_account": "fivetran_salesforce/sf_account_data.csv",
    "crm_lead": "fivetran_salesforce/sf_lead_data.csv",
    "support_user": "fivetran_zendesk/user_data.csv",
    "support_ticket": "fivetran_zendesk/ticket_data.csv",
    "erp_kna1": "fivetran_sap/sap_kna1_data.csv",
    "erp_vbak": "fivetran_sap/sap_vbak_data.csv",
    "erp_vbap": "fivetran_sap/sap_vbap_data.csv",
}
# What one customer in KNA1 points at.
ADDRESSES = {
    "adr6": [
        {
            "addrnumber": "0000620981",
            "consnumber": consnumber,
            "smtp_addr": address,
            "flgdefault": default,
        }
        for consnumber, address, default in [
            ("001", "b@mifflin.example", ""),
            ("002", "A@Mifflin.example", "X"),
        ]
    ],
    "adrc": [
        {
            "addrnumber": "0000620981",
            "street": "Slough Ave",
            "house_num1": "1725",
            "city1": "Scranton",
            "post_code1": "18503",
            "region": "PA",
            "country": "US",
            "tel_number": "(570) 343-3400",
        }
    ],
}


@pytest.fixture(scope="module")
def sources(test_data: Path) -> Path:
    return test_data / "sources"


@pytest.fixture(scope="module")
def replica(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    files: dict[str, dict[str, Path | bytes]] = {
        stream: {"rows.csv": sources / path} for stream, path in SEEDS.items()
    }
    for table, rows in ADDRESSES.items():
        files[f"erp_{table}"] = {"rows.csv": address_table(sources, table, rows)}
    return harmonise("fivetran", tmp_path_factory.mktemp("fivetran"), files)


def address_table(sources: Path, table: str, rows: list[dict[str, str]]) -> bytes:
    fields = yaml.safe_load(
        (sources / "sap_cortex_annotations" / "s4" / f"{table}.yaml").read_text()
    )["fields"]
    columns = [field["name"] for field in fields] + ["_fivetran_synced"]
    assert set(rows[0]) < set(columns)
    common = {"client": "800", "_fivetran_synced": "2023-01-16 20:59:25"}
    lines = [columns] + [[(common | row).get(c, "") for c in columns] for row in rows]
    return "\n".join(",".join(line) for line in lines).encode()


def rows_of(sources: Path, stream: str) -> list[dict[str, str]]:
    with (sources / SEEDS[stream]).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("stream", SEEDS)
def test_every_row_is_loaded(replica: Export, sources: Path, stream: str) -> None:
    load = replica.loads[stream]
    assert load.inserted + load.deleted == len(rows_of(sources, stream)) > 0
    assert load.quarantined == 0


def test_a_company_in_sap_is_an_account(replica: Export) -> None:
    assert (
        "Dunder Mifflin",
        "Scranton",
        "US",
    ) in replica.ask(
        "select name, city_name, country_id from dmo.account "
        "where data_source_object_id = 'erp_kna1'"
    )


def test_orders_of_sap_keep_their_values(replica: Export, sources: Path) -> None:
    expected = {
        (f"erp_vbak:{row['mandt']}|{row['vbeln']}", float(row["netwr"]))
        for row in rows_of(sources, "erp_vbak")
    }
    found = replica.ask("select id, grand_total_amount::double from dmo.sales_order")
    assert set(found) == expected


def test_tickets_and_users_of_zendesk(replica: Export, sources: Path) -> None:
    users = rows_of(sources, "support_user")
    asked = [user for user in users if user["role"] == "end-user"]
    assert replica.one(
        "select count(*) from dmo.individual where data_source_id = 'support'"
    ) == len(asked)
    ((cases, open_),) = replica.ask(
        'select count(*), count(*) filter (is_open) from dmo."case"'
    )
    assert (cases > 0, open_) == (True, 0)


def test_contacts_and_leads_of_salesforce(replica: Export) -> None:
    assert replica.ask(
        "select id, email_address, email_domain_type_id from dmo.contact_point_email "
        "where id like 'crm_lead:%'"
    ) == [("crm_lead:00Q1G00000nDnM5UAK", "h@gmail.com", "freemail")]


def test_all_columns_of_kna1_load(loading, sources: Path) -> None:
    """197 of them, with /VSO/ and /XLSO/ among their names."""
    header = list(rows_of(sources, "erp_kna1")[0])
    assert len(header) == 197
    shipped = load_streams(EXPORTS / "fivetran" / "streams")["erp_kna1"]
    declared = shipped.model_dump(mode="json", exclude={"phones"})
    declared["fields"] = {
        column.strip("/").replace("/", "_"): {"type": "string", "sent_as": column}
        for column in header
    }
    declared |= {"primary_key": ["mandt", "kunnr"], "deleted_flag": "loevm"}
    declared["modified_at"] = None
    spec = StreamSpec.model_validate(declared)

    load = loading.load(spec, (sources / SEEDS["erp_kna1"]).read_bytes())

    rows = rows_of(sources, "erp_kna1")
    assert (load.inserted, load.quarantined) == (len(rows), 0)
    found = loading.rows(
        'select kunnr, name1, "VSO_R_PALHGT" from dlo.erp_kna1 order by kunnr'
    )
    assert found == sorted(
        (row["kunnr"], row["name1"], row["/vso/r_palhgt"] or None) for row in rows
    )
