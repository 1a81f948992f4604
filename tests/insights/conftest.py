"""A small warehouse made by hand, and dbt in this process to build on it.

The tables of the canonical model are created from the contracts in dbt's manifest, so
a contract that loses a column these models need fails here. The facts are random but
seeded, and full of ties, blanks, deleted records and strangers.
"""

import datetime as dt
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_assets.declarations import quoted
from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.warehouse import Warehouse, transaction

Facts = dict[str, list[dict[str, Any]]]
Build = Callable[[Facts], duckdb.DuckDBPyConnection]

AS_OF = dt.datetime(2026, 11, 1, 9, 30)
DAY = dt.timedelta(days=1)
# Records deleted since people were last resolved: a whole person, and part of one.
GONE = ["crm_contact:gone", "shop_customer:gone"]
GONE_COMPANY = "crm_account:gone"
SOURCES = {
    "crm_contact": "crm",
    "crm_lead": "crm",
    "shop_customer": "shop",
    "erp_kna1": "erp",
    "support_user": "support",
    "email_subscriber": "email",
}
RULES = [
    ("individual", "*", "source_priority", "crm_contact", 1),
    ("individual", "*", "source_priority", "erp", 2),
    ("individual", "*", "source_priority", "crm", 3),
    ("individual", "*", "source_priority", "shop_customer", 4),
    ("individual", "first_name", "most_frequent", None, None),
    ("individual", "last_name", "most_frequent", None, None),
    ("individual", "birth_date", "most_frequent", None, None),
    ("individual", "salutation", "last_updated", None, None),
    ("account", "*", "source_priority", "erp", 1),
]


class Dbt:
    """The project, parsed once; every build reuses the manifest."""

    def __init__(self, target: Path) -> None:
        self._arguments = [
            *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            *("--target", "warehouse", "--target-path", str(target)),
            # dbt leaves its log file open, and warnings are errors here.
            *("--log-level-file", "none", "--quiet"),
        ]
        self.manifest = self._invoke(["parse"]).result

    def models(self, schema: str) -> dict[str, Any]:
        """The models of one schema, by name."""
        return {
            node.name: node
            for node in self.manifest.nodes.values()
            if node.resource_type == "model" and node.schema == schema
        }

    def run(self) -> None:
        """Build profiles, insights and the article's views at ``AS_OF``."""
        folders = ("unified", "insights", "article")
        paths = [f"path:models/{folder}" for folder in folders]
        variables = f"{{as_of: '{AS_OF.isoformat(sep=' ')}'}}"
        self._invoke(["run", "--vars", variables, "--select", *paths])

    def _invoke(self, command: list[str]) -> Any:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        runner = dbtRunner(manifest=getattr(self, "manifest", None))
        result = runner.invoke([*command, *self._arguments])
        # In this process dbt would hold the file until the process ends.
        DuckDBConnectionManager.close_all_connections()
        assert result.success, result.exception or [
            (r.node.name, r.message) for r in result.result if r.status == "error"
        ]
        return result


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    root = tmp_path_factory.mktemp("dbt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDP_WAREHOUSE", str(root / "warehouse.duckdb"))
        yield Dbt(root / "target")


@pytest.fixture(scope="session")
def build(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Makes a warehouse of the facts, runs dbt on it, and opens it for reading."""
    opened: list[duckdb.DuckDBPyConnection] = []
    patch = pytest.MonkeyPatch()

    def make(facts: Facts) -> duckdb.DuckDBPyConnection:
        paths = Paths(tmp_path_factory.mktemp("data"))
        with Warehouse(paths).writing("a test") as connection:
            _create_canonical_model(connection, dbt)
            with transaction(connection):
                for table, rows in facts.items():
                    _insert(connection, table, rows)
        patch.setenv("CDP_WAREHOUSE", str(paths.warehouse))
        dbt.run()
        opened.append(duckdb.connect(str(paths.warehouse), read_only=True))
        return opened[-1]

    yield make
    patch.undo()
    for connection in opened:
        connection.close()


@pytest.fixture(scope="session")
def as_of() -> dt.datetime:
    """The instant that the warehouse was built at."""
    return AS_OF


@pytest.fixture(scope="session")
def facts() -> Facts:
    return _Inventor(random.Random(20261101)).facts()


@pytest.fixture(scope="session")
def built(build: Build, facts: Facts) -> duckdb.DuckDBPyConnection:
    return build(facts)


def _create_canonical_model(connection: duckdb.DuckDBPyConnection, dbt: Dbt) -> None:
    for name, model in dbt.models("dmo").items():
        columns = ", ".join(
            f"{quoted(column.name)} {column.data_type}"
            for column in model.columns.values()
        )
        connection.execute(f"create table dmo.{quoted(name)} ({columns})")


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]
) -> None:
    for row in rows:
        connection.execute(
            f"insert into {table} ({', '.join(row)}) "
            f"values ({', '.join('?' for _ in row)})",
            list(row.values()),
        )


class _Inventor:
    """Facts about sixty people, fourteen companies and what they did."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        kinds = list(SOURCES)
        self.records = [f"{kinds[i % 6]}:{i}" for i in range(180)]
        self.companies = [
            f"{('crm_account', 'erp_kna1')[i % 2]}:c{i}" for i in range(20)
        ]

    def facts(self) -> Facts:
        pick = self.chance.choice
        return {
            "identity.unified_link_individual": [
                _link("unified_individual_id", f"u_{self.chance.randrange(60):016x}", r)
                for r in self.records
            ]
            + [
                _link("unified_individual_id", "u_gone", GONE[0]),
                _link("unified_individual_id", f"u_{0:016x}", GONE[1]),
            ],
            "identity.unified_link_account": [
                _link("unified_account_id", f"a_{self.chance.randrange(14):016x}", c)
                for c in self.companies
            ]
            + [_link("unified_account_id", "a_gone", GONE_COMPANY)],
            "identity.reconciliation_rule": [
                dict(
                    zip(
                        ("object", "field", "method", "source", "priority"),
                        rule,
                        strict=True,
                    )
                )
                for rule in RULES
            ],
            "dmo.individual": [self._individual(record) for record in self.records],
            "dmo.account": [self._account(company) for company in self.companies],
            "dmo.account_contact": [
                {
                    "id": r,
                    "individual_id": r,
                    "account_id": pick([*self.companies, GONE_COMPANY]),
                }
                for r in self.records[::3]
            ],
            "dmo.contact_point_email": [self._email(i) for i in range(200)],
            "dmo.contact_point_phone": [self._phone(i) for i in range(120)],
            "dmo.sales_order": [self._order(i) for i in range(400)],
            "dmo.engagement_event": [self._event(i) for i in range(600)],
            "dmo.shopping_cart_engagement": [self._cart(i) for i in range(150)],
            'dmo."case"': [self._case(i) for i in range(80)],
        }

    def _when(self) -> dt.datetime | None:
        # Few instants, so that most comparisons tie.
        return self.chance.choice([*(AS_OF - n * DAY for n in range(4)), None])

    def _provenance(self, record: str) -> dict[str, Any]:
        kind = record.split(":")[0]
        return {
            "data_source_object_id": kind,
            "data_source_id": SOURCES.get(kind, "crm"),
            "source_record_id": record,
            "created_date": self._when(),
            "last_modified_date": self._when(),
        }

    def _individual(self, record: str) -> dict[str, Any]:
        pick = self.chance.choice
        blank = [None, None, "", " "]
        return {
            "id": record,
            "first_name": pick(["José", "jose", "JOSÉ", "Ann", "ann", "Eva", *blank]),
            "last_name": pick(
                ["Müller", "Muller", "Meyer", "Strauß", "Strauss", *blank]
            ),
            "middle_name": pick(["M", "N", *blank]),
            "name_suffix": pick(["Jr", None, None]),
            "salutation": pick(["Ms", "Mrs", *blank]),
            "person_name": pick(["José Müller", None]),
            "birth_date": pick([dt.date(1980, 2, 1), dt.date(1980, 1, 2), None]),
            "primary_language_id": pick(["de", "en", None]),
            "primary_account_id": pick(
                [*self.companies, *[None] * 60, "crm_account:gone"]
            ),
            "is_anonymous": pick([True, False, None]),
            **self._provenance(record),
        }

    def _account(self, company: str) -> dict[str, Any]:
        return {
            "id": company,
            "name": self.chance.choice(["Acme", "ACME", "Initech", None]),
            "country_id": self.chance.choice(["DE", "CH", None]),
            **self._provenance(company),
        }

    def _email(self, number: int) -> dict[str, Any]:
        record = self.chance.choice([*self.records, *GONE, "shop_customer:stranger"])
        address = f"p{self.chance.randrange(40)}@example.com"
        spelling = address.replace("p", self.chance.choice("pp.p"), 1)
        return {
            "id": f"e{number}",
            "party_id": record,
            "email_address": spelling,
            "normalised_email": address,
            "email_domain_type_id": "company",
            "primary_flag": self.chance.choice([True, False, None]),
            "is_undeliverable": self.chance.choice([True, False, False, None]),
            **self._provenance(record),
        }

    def _phone(self, number: int) -> dict[str, Any]:
        record = self.chance.choice(self.records)
        e164 = self.chance.choice([f"+49301{self.chance.randrange(30)}", None])
        return {
            "id": f"p{number}",
            "party_id": record,
            "formatted_e164_phone_number": e164,
            **self._provenance(record),
        }

    def _order(self, number: int) -> dict[str, Any]:
        pick = self.chance.choice
        status = pick(
            ["open", "fulfilled", "cancelled", "returned", "partially_returned"]
        )
        currency = pick(["EUR", "USD", "XTS"])
        # Even what a source wrongly leaves on a cancelled order must not count.
        amount = Decimal(self.chance.randrange(1, 50_000)) / 100
        company = number % 5 == 0
        return {
            "id": f"shop_order:{number}",
            "sold_to_customer_id": pick(
                self.companies
                if company
                else [*self.records, f"shop_order:{number}", *GONE]
            ),
            "bill_to_account_id": pick([*self.companies, GONE_COMPANY])
            if company
            else None,
            "purchase_order_date": AS_OF - self.chance.randrange(-20, 700) * DAY,
            "sales_order_status_id": status,
            "currency_code": currency,
            "net_amount": amount,
            "net_amount_reporting": None if currency == "XTS" else amount * 2,
            "shopping_cart_id": pick([None, f"cart{number % 40}"]),
        }

    def _event(self, number: int) -> dict[str, Any]:
        kinds = ["EmailOpen", "EmailClick", "WebVisit", "Purchase", "CartAdd"]
        return {
            "id": f"ev{number}",
            "individual_id": self.chance.choice(
                [*self.records, *GONE, None, "web:stranger"]
            ),
            "event_type": self.chance.choice([*kinds, "EmailSent", "EmailBounce"]),
            # About both ends of the window: as_of, and midnight ninety days before.
            "event_date": self.chance.choice([AS_OF, AS_OF.replace(hour=0, minute=0)])
            - self.chance.choice([-1, 0, 1, 89, 90, 91]) * DAY
            + dt.timedelta(seconds=self.chance.choice([-1, 0, 1])),
        }

    def _cart(self, number: int) -> dict[str, Any]:
        actions = ["product_added", "product_added", "product_removed"]
        return {
            "id": f"c{number}",
            "individual_id": self.chance.choice([*self.records[:30], *GONE, None]),
            "engagement_channel_action_id": self.chance.choice(
                [*actions, "cart_viewed", "order_completed"]
            ),
            "shopping_cart_id": self.chance.choice([f"cart{number % 40}", None]),
            "product_id": f"p{self.chance.randrange(3)}",
            "quantity": self.chance.randrange(1, 4),
            "unit_price_amount": Decimal(self.chance.randrange(100, 2000)) / 100,
            "currency_code": self.chance.choice(["EUR", "USD", None]),
            "engagement_date_tm": AS_OF - self.chance.randrange(0, 40) * DAY,
        }

    def _case(self, number: int) -> dict[str, Any]:
        return {
            "id": f"support_ticket:{number}",
            "individual_id": self.chance.choice([*self.records, *GONE, None]),
            "account_id": self.chance.choice([*self.companies, GONE_COMPANY, None]),
            "opened_date": AS_OF - self.chance.randrange(0, 200) * DAY,
            "is_open": self.chance.choice([True, False]),
        }


def _link(key: str, unified_id: str, record: str) -> dict[str, Any]:
    return {key: unified_id, "record": record, "tier": "exact", "linked_at_run": 1}
