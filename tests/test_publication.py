"""Publication: documents, lookup keys, the snapshot, and finding one person."""

import datetime as dt
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import duckdb
import pytest
from dbt.cli.main import dbtRunner

from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.publication import documents, snapshot, versions
from cdp_assets.publication.documents import (
    NotBuiltError,
    PublishResult,
    publish_documents,
)
from cdp_assets.publication.profile import NotPublishedError, find, match_form, render
from cdp_assets.publication.snapshot import catalogue_path, publish_snapshot
from cdp_assets.publication.standing import standing_consent
from cdp_assets.publication.store import store_path
from cdp_assets.warehouse import Warehouse
from tests.published import ANN, BEN, CY, EMPTY, OLD, ROWS, TABLES

NOW = dt.datetime(2026, 11, 1)


@pytest.fixture
def built(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """A small warehouse that every stage before publication has written."""
    with warehouse.writing("tests") as connection:
        connection.execute(TABLES + ROWS)
        yield connection


def stored(paths: Paths) -> dict[str, str]:
    with sqlite3.connect(store_path(paths)) as store:
        return dict(
            store.execute("select unified_individual_id, document from profile")
        )


def keys(paths: Paths, person: str) -> set[tuple[str, str]]:
    with sqlite3.connect(store_path(paths)) as store:
        return set(
            store.execute(
                "select key_kind, key from lookup where unified_individual_id = ?",
                (person,),
            )
        )


def test_a_document_holds_every_facet_with_its_origin(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """A facet joined on the wrong key was empty for everybody, and nobody noticed."""
    assert publish_documents(built, paths) == PublishResult(4, 0, 0, 4)
    ann = find(paths, ANN)
    assert ann is not None
    assert ann["fields"]["last_name"] == {
        "record": "shop_customer:9",
        "value": "Müller",
    }
    assert ann["fields"]["person_name"] == {"value": "Ann Müller"}
    assert [point["email_address"] for point in ann["emails"]] == [
        "ann.mueller@gmail.com",
        "ann@work.example",
    ]
    assert ann["phones"][0]["number"] == "+493012345678"
    assert ann["addresses"][0]["city_name"] == "Berlin"
    assert [record["record"] for record in ann["records"]] == [
        "crm_contact:1",
        "shop_customer:9",
    ]
    assert ann["insights"]["lifetime_value"] == {
        "first_order_date": "2026-01-01",
        "lifetime_value": 73.5,
        "lifetime_value_by_currency": {"EUR": 73.5},
    }
    assert ann["insights"]["lifecycle_stage"] == {"lifecycle_stage": "active"}
    assert ann["segments"] == [
        {"entered_at": "2026-05-01 00:00:00", "segment": "high_value"}
    ]
    assert (ann["orders"]["count"], ann["orders"]["last_date"]) == (
        7,
        "2026-01-07 00:00:00",
    )
    assert [order["order"] for order in ann["orders"]["recent"]] == [
        f"shop_order:{number}" for number in (6, 5, 4, 3, 2)
    ]
    assert (ann["cases"]["count"], ann["cases"]["open"]) == (1, 1)


def test_a_person_without_anything_still_has_a_document(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """An inner join dropped people who had never ordered."""
    publish_documents(built, paths)
    assert find(paths, EMPTY) == {
        "addresses": [],
        "consent": [],
        "emails": [],
        "fields": {"is_known": {"value": False}, "record_count": {"value": 1}},
        "insights": {},
        "phones": [],
        "records": [
            {
                "last_modified_date": None,
                "person_name": None,
                "record": "email_subscriber:4",
                "source": "email",
                "tier": "exact",
            }
        ],
        "segments": [],
        "unified_individual_id": EMPTY,
    }


def test_consent_is_published_as_answers_and_decided_when_read(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """A profile showed a consent that a delivery then refused."""
    publish_documents(built, paths)
    ann = find(paths, ANN)
    assert ann is not None
    at = {
        (found.contact_point, found.purpose, found.channel): found.decision
        for found in standing_consent(ann, NOW)
    }
    assert at == {
        ("ann@work.example", "marketing", "email"): (
            False,
            "consent_log:2",
            "opted out",
        ),
        ("+493012345678", "service", "sms"): (
            True,
            "consent_log:4",
            "consent given",
        ),
    }
    text = render(ann, as_of=NOW)
    assert "withheld: opted out" in text
    # The answer that lifted the first one was not given yet.
    assert "allowed" not in render(ann, as_of=dt.datetime(2026, 1, 15))


def test_documents_have_sorted_keys_and_no_derived_ages(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """A tenure in days changed every profile every day."""
    publish_documents(built, paths)
    before = stored(paths)
    for document in before.values():
        assert list(json.loads(document)) == sorted(json.loads(document))
        assert "days" not in document
    assert set(json.loads(before[ANN])["insights"]["churn_risk"]) == {"churn_risk_tier"}
    built.execute("update insights.lifetime_value set customer_tenure_days = 301")
    built.execute("update insights.churn_risk set days_since_last_order = 4")
    assert publish_documents(built, paths) == PublishResult(0, 0, 4, 4)
    assert stored(paths) == before


def test_an_unchanged_run_upserts_nobody(
    built: duckdb.DuckDBPyConnection, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every run rewrote every profile, because lists came in another order."""
    publish_documents(built, paths)
    before = stored(paths)
    for table in ("unified.unified_contact_point_email", "dmo.sales_order"):
        built.execute(
            f"create or replace table {table} as from {table} order by id desc"
        )
    # One person at a time: where they are cut must not matter either.
    monkeypatch.setattr(documents, "PEOPLE_AT_ONCE", 1)
    assert publish_documents(built, paths) == PublishResult(0, 0, 4, 4)
    assert stored(paths) == before


EDITS = [
    f"update unified.unified_individual set {column} = {value} "
    f"where unified_individual_id = '{ANN}'"
    for column, value in (
        ("first_name", "'Anne'"),
        ("first_name_record", "'shop_customer:9'"),
        ("birth_date", "null"),
        ("record_count", "3"),
    )
] + [
    f"update {table} set {column} = {value}"
    for table, column, value in (
        ("unified.unified_contact_point_email", "is_undeliverable", "null"),
        ("unified.unified_contact_point_email", "rank", "3 - rank"),
        ("unified.unified_contact_point_phone", "phone_type_id", "'home'"),
        ("unified.unified_contact_point_address", "state_province_name", "'Berlin'"),
        ("identity.unified_link_individual", "tier", "'probabilistic'"),
        ("identity.redirect", "retired_id", "'u_another'"),
        ("dmo.individual", "person_name", "upper(person_name)"),
        ("dmo.contact_point_email", "normalised_email", "'else@where.example'"),
        ("dmo.contact_point_phone", "formatted_e164_phone_number", "null"),
        ("dmo.contact_point_consent", "effective_to_date", "'2026-06-01'"),
        ("dmo.contact_point_consent", "contact_point_value", "'ray@home.example'"),
        ("dmo.sales_order", "net_amount", "net_amount + 1"),
        ("dmo.sales_order", "purchase_order_date", "null"),
        ("dmo.sales_order", "sold_to_customer_id", "'crm_contact:2'"),
        ('dmo."case"', "is_open", "false"),
        ('dmo."case"', "individual_id", "'crm_contact:3'"),
        ("insights.lifetime_value", "lifetime_value_by_currency", "null"),
        ("insights.lifetime_value", "unified_individual_id", f"'{BEN}'"),
        ("segments.membership", "left_at", "'2026-07-01'"),
    )
]


@pytest.mark.parametrize("edit", EDITS)
def test_whatever_is_edited_the_store_is_as_if_made_anew(
    built: duckdb.DuckDBPyConnection, paths: Paths, tmp_path: Path, edit: str
) -> None:
    """A signature that left a column out kept the old document for good."""
    publish_documents(built, paths)
    before = whole(paths)
    built.execute(edit)
    publish_documents(built, paths)
    anew = Paths(tmp_path / "anew")
    publish_documents(built, anew)
    assert whole(paths) == whole(anew) != before


def whole(paths: Paths) -> tuple[list[object], list[object]]:
    """All that readers can see of the store."""
    with sqlite3.connect(store_path(paths)) as store:
        return (
            store.execute("select * from profile order by 1").fetchall(),
            store.execute("select * from lookup order by 1, 2, 3").fetchall(),
        )


def test_a_store_of_before_signatures_is_brought_up_to_date(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """An upgrade found no such column, and nobody was published any more."""
    publish_documents(built, paths)
    before = whole(paths)
    with sqlite3.connect(store_path(paths)) as store:
        store.execute("alter table profile drop column signature")
    assert publish_documents(built, paths) == PublishResult(0, 0, 4, 4)
    assert whole(paths) == before


def test_documents_are_built_of_nobody_else(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """A wave of a thousand changes built the documents of a million people."""
    publish_documents(built, paths)
    built.execute(
        "update dmo.individual set person_name = 'B' where id = 'crm_contact:2'"
    )
    publish_documents(built, paths)
    looked_at = built.execute("select unified_individual_id from publication_news")
    assert looked_at.fetchall() == [(BEN,)]


def test_only_who_changed_is_written(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """One order made the whole store new."""
    publish_documents(built, paths)
    before = stored(paths)
    built.execute(
        "insert into dmo.sales_order values ('shop_order:8', '#8', 'crm_contact:2', "
        "'2026-06-01', 'open', 'EUR', 5)"
    )
    assert publish_documents(built, paths) == PublishResult(1, 0, 3, 4)
    after = stored(paths)
    assert {person for person in after if after[person] != before[person]} == {BEN}


def test_a_key_that_leaves_a_record_no_longer_finds_its_person(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """The old number of a person led to them after it was recycled."""
    publish_documents(built, paths)
    assert find(paths, "+49 30 12345678") is not None
    built.execute(
        "update dmo.contact_point_phone set formatted_e164_phone_number = null"
    )
    assert publish_documents(built, paths).upserted == 1
    assert find(paths, "+49 30 12345678") is None


def test_a_merged_person_is_deleted_and_the_old_id_finds_the_living_one(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Systems that had stored the old id found nobody after a merge."""
    publish_documents(built, paths)
    assert find(paths, OLD) == find(paths, ANN)
    built.execute(
        f"""
        update identity.unified_link_individual set unified_individual_id = '{ANN}'
        where unified_individual_id = '{CY}';
        delete from unified.unified_individual where unified_individual_id = '{CY}';
        delete from unified.unified_contact_point_email
        where unified_individual_id = '{CY}';
        insert into identity.redirect values ('{CY}', 'merged', ['{ANN}'], 2)
        """
    )
    assert publish_documents(built, paths) == PublishResult(1, 1, 2, 3)
    ann = find(paths, CY)
    assert ann is not None
    assert ann["unified_individual_id"] == ANN
    assert find(paths, "crm_contact:3") == ann
    assert ("retired_id", CY) in keys(paths, ANN)
    assert not keys(paths, CY)


def test_a_key_that_is_new_is_published_although_the_document_is_the_same(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Only documents were compared, and a redirect found nobody until the next edit."""
    publish_documents(built, paths)
    built.execute(
        "insert into identity.redirect values ('u_older', 'merged', ?, 2)", [[ANN]]
    )
    assert publish_documents(built, paths) == PublishResult(1, 0, 3, 4)
    assert find(paths, "u_older") == find(paths, ANN)


def test_a_split_id_lists_the_people_it_became(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """A reader was given one of two people, whichever came first."""
    built.execute(
        "insert into identity.redirect values ('u_gone', 'split', ?, 2)", [[BEN, CY]]
    )
    publish_documents(built, paths)
    found = find(paths, "u_gone")
    assert found is not None
    assert [each["unified_individual_id"] for each in found["people"]] == [BEN, CY]


@pytest.mark.parametrize(
    "key",
    [
        ANN,
        f" {ANN} ",
        "crm_contact:1",
        "ann@work.example",
        "Ann@Work.Example",
        "mailto:ann@work.example",
        "Ann Müller <ann@work.example>",
        "ann.mueller@gmail.com",
        "a.n.n.mueller+shop@googlemail.com",
        "+493012345678",
        "+49 (0)30 12345678",
        "0049 30 123 456 78",
        "030/12345678",
        "(030) 1234-5678",
        "tel:+49-30-12345678",
    ],
)
def test_any_usual_way_to_write_a_key_finds_the_person(
    built: duckdb.DuckDBPyConnection, paths: Paths, key: str
) -> None:
    """Support read a number off a letter and was told nobody had it."""
    publish_documents(built, paths)
    found = find(paths, key)
    assert found is not None
    assert found["unified_individual_id"] == ANN


@pytest.mark.slow
def test_addresses_are_looked_up_in_the_form_that_dbt_compares_them_in(
    tmp_path: Path,
) -> None:
    """Two rules for one form drift apart, and one key in a thousand finds nobody."""
    addresses = [
        f"{mailbox}@{domain}"
        for mailbox in ("ann", "a.n.n", "a.n+x.y", "+x", ".", "a+b+c")
        for domain in ("gmail.com", "googlemail.com", "home.example", "x.gmail.com")
    ]
    outcome = dbtRunner().invoke(
        [
            *("--quiet", "compile"),
            *(
                "--inline",
                "select x, {{ email_match_form('x') }} as form from addresses",
            ),
            *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            *("--target", "lint", "--target-path", str(tmp_path / "target")),
            *("--log-path", str(tmp_path / "logs")),
        ]
    )
    query = outcome.result.results[0].node.compiled_code
    with duckdb.connect() as connection:
        connection.execute(
            "create table addresses as select unnest($1) as x", [addresses]
        )
        assert dict(connection.execute(query).fetchall()) == {
            address: match_form(address) for address in addresses
        }


@pytest.mark.parametrize(
    "key",
    [
        "",
        "nobody@work.example",
        "+49 30 999",
        "5678",
        "12345678",
        "u_zzz",
        "%",
        "+",
        "@",
    ],
)
def test_a_key_of_nobody_finds_nobody(
    built: duckdb.DuckDBPyConnection, paths: Paths, key: str
) -> None:
    """The end of a number was taken for the number."""
    publish_documents(built, paths)
    assert find(paths, key) is None


def test_a_shared_key_lists_the_people_who_share_it(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Half of a household was shown the other half's orders."""
    publish_documents(built, paths)
    found = find(paths, "RAY@home.example")
    assert found is not None
    assert found["count"] == 2
    text = render(found)
    assert BEN in text
    assert "Cy Ray" in text


def test_one_person_is_printed_with_origins_and_ages_derived_when_read(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """The page gave a value and not where it came from."""
    publish_documents(built, paths)
    ann = find(paths, ANN)
    assert ann is not None
    text = render(ann, as_of=NOW)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == f"Ann Müller {ANN}"
    assert "last_name Müller shop_customer:9" in lines
    assert "lifetime_value first_order_date 2026-01-01 (10 months ago)" in lines
    assert "lifetime_value 73.50" in lines
    assert "high_value since 2026-05-01 (6 months ago)" in lines
    assert (
        "ann@work.example marketing by email withheld: opted out "
        "2026-01-01 (10 months ago) consent_log:2"
    ) in lines
    assert "support_ticket:5 Where is it? open 2026-04-01 (7 months ago)" in lines
    empty = find(paths, EMPTY)
    assert empty is not None
    assert "(no name)" in render(empty)


def test_a_new_insight_is_published_without_a_change_here(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """An analyst's insight needed a developer to be seen; one per category too."""
    built.execute(
        f"""
        create table insights.favourite as
        select * from (values ('{ANN}', 'shoes', 2), ('{ANN}', 'hats', 1))
            t(unified_individual_id, category, "orders 90d")
        """
    )
    built.execute('alter table insights.favourite rename "orders 90d" to orders_90d')
    publish_documents(built, paths)
    ann = find(paths, ANN)
    assert ann is not None
    assert ann["insights"]["favourite"] == [
        {"category": "hats", "orders_90d": 1},
        {"category": "shoes", "orders_90d": 2},
    ]


def test_readers_see_the_people_before_or_after_and_never_between(
    built: duckdb.DuckDBPyConnection, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader met the new document under the old keys."""
    publish_documents(built, paths)
    monkeypatch.setattr(documents, "PEOPLE_AT_ONCE", 1)
    stop = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not stop.is_set():
            with sqlite3.connect(store_path(paths)) as store:
                changed = store.execute(
                    "select count(*) from profile where document like '%marker%'"
                ).fetchone()
            seen.add(changed[0])

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(10):
        built.execute(
            "update unified.unified_individual set person_name = ?",
            ["marker" if turn % 2 else "before"],
        )
        publish_documents(built, paths)
    stop.set()
    reader.join()
    assert seen <= {0, 4}


def test_a_publication_that_fails_leaves_the_store_as_it_was(
    built: duckdb.DuckDBPyConnection, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run left half of the people at the new state."""
    publish_documents(built, paths)
    before = stored(paths)
    built.execute("update unified.unified_individual set person_name = 'other'")
    monkeypatch.setattr(documents, "PEOPLE_AT_ONCE", 1)
    # The last of the ranges fails, after the others were written.
    built.execute(
        f"""
        create view insights.broken as
        select unified_individual_id,
            case when unified_individual_id = '{EMPTY}' then error('broken') end as x
        from unified.unified_individual
        """
    )
    with pytest.raises(duckdb.Error, match="broken"):
        publish_documents(built, paths)
    assert stored(paths) == before


def test_missing_tables_are_named(warehouse: Warehouse, paths: Paths) -> None:
    """A profile without consent was published because the table was not built."""
    with (
        warehouse.writing("tests") as connection,
        pytest.raises(NotBuiltError, match=r"dmo\.contact_point_consent"),
    ):
        publish_documents(connection, paths)
    with pytest.raises(NotPublishedError, match="publish first"):
        find(paths, ANN)


def test_reading_the_warehouse_is_enough_to_publish(
    warehouse: Warehouse, paths: Paths
) -> None:
    """Publication kept the writing lock although it writes elsewhere."""
    with warehouse.writing("tests") as connection:
        connection.execute(TABLES + ROWS)
    with warehouse.reading("publication") as connection:
        assert publish_documents(connection, paths).upserted == 4
        assert publish_snapshot(connection, paths).created


def rows_seen_by_another_process(catalogue: Path, table: str) -> int:
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(c.execute(f'select count(*) from {sys.argv[2]}').fetchone()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(catalogue), table],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_the_snapshot_is_read_by_another_process_while_the_warehouse_is_written(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Analysts waited for the pipeline, and the pipeline for them."""
    result = publish_snapshot(built, paths)
    assert result.version == 1
    assert "insights.churn_risk" in result.written
    catalogue = catalogue_path(paths)
    assert rows_seen_by_another_process(catalogue, "dmo.sales_order") == 7
    assert rows_seen_by_another_process(catalogue, "insights.lifecycle_stage") == 1
    assert rows_seen_by_another_process(catalogue, "identity.redirect") == 1
    # A view's column has the warehouse's type, or contracts fail for analysts alone.
    with duckdb.connect(str(catalogue), read_only=True) as reader:
        types = {
            name: str(kind)
            for name, kind, *_ in reader.execute("describe dmo.sales_order").fetchall()
        }
    assert types["net_amount"] == "DECIMAL(18,2)"


def test_what_is_a_view_in_the_warehouse_is_one_in_the_snapshot(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Copies of views were half of what was written, and worked out three times."""
    built.execute("create schema if not exists article")
    built.execute('create view article."SalesOrder" as select * from dmo.sales_order')
    result = publish_snapshot(built, paths)
    assert "insights.lifecycle_stage" not in result.written
    live = versions.current(paths.serving)
    assert live is not None
    assert not (live / "insights" / "lifecycle_stage.parquet").exists()
    with duckdb.connect() as reader:
        # An analyst's session calls it something else.
        reader.execute(f"attach '{live / 'catalogue.duckdb'}' as lake (read_only)")
        names = reader.execute(
            "select schema_name || '.' || view_name from duckdb_views() "
            "where database_name = 'lake'"
        ).fetchall()
        assert len(names) > 20
        for (name,) in names:
            schema, _, table = name.partition(".")
            here = reader.execute(f'from lake.{schema}."{table}"').fetchall()
            there = built.execute(f'from {schema}."{table}"').fetchall()
            assert sorted(map(repr, here)) == sorted(map(repr, there)), name
    assert not publish_snapshot(built, paths).created


def test_a_view_whose_instant_moved_makes_no_new_version_while_its_rows_stay(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Every run has another instant, and readers lose the version before last."""

    def ask(day: str) -> None:
        built.execute(
            "create or replace view unified.recent as select * from dmo.sales_order "
            f"where timestamp '{day}' > timestamp '2020-01-01'"
        )

    built.execute("create schema if not exists unified")
    ask("2999-01-01")
    publish_snapshot(built, paths)
    ask("2999-01-02")
    assert not publish_snapshot(built, paths).created
    ask("1999-01-02")
    assert publish_snapshot(built, paths).created
    assert rows_seen_by_another_process(catalogue_path(paths), "unified.recent") == 0


def test_raw_records_and_match_features_are_not_in_the_snapshot(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Every value a source ever sent was readable by everybody."""
    built.execute("create table dlo.crm_contact as select 'secret' as notes")
    publish_snapshot(built, paths)
    live = versions.current(paths.serving)
    assert live is not None
    assert not (live / "dlo").exists()
    assert not (live / "identity" / "node.parquet").exists()


def test_an_unchanged_warehouse_makes_no_new_version(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Analysts' caches went stale every hour for nothing."""
    first = publish_snapshot(built, paths)
    second = publish_snapshot(built, paths)
    assert (second.version, second.created, second.written) == (1, False, ())
    assert second.rows == first.rows


def test_only_changed_tables_are_written_and_two_versions_kept(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """A snapshot per hour filled the disk with the same orders."""
    publish_snapshot(built, paths)
    for version in (2, 3):
        built.execute(
            "update insights.churn_risk set days_since_last_order = ?", [version]
        )
        result = publish_snapshot(built, paths)
        assert (result.version, result.written) == (version, ("insights.churn_risk",))
    kept = sorted(path.name for path in paths.serving.glob("v*"))
    assert kept == ["v2", "v3"]
    orders = [paths.serving / name / "dmo" / "sales_order.parquet" for name in kept]
    assert orders[0].samefile(orders[1])
    # A column's new type alone is a new table.
    built.execute(
        "alter table insights.churn_risk alter days_since_last_order type int"
    )
    assert publish_snapshot(built, paths).written == ("insights.churn_risk",)


@pytest.mark.parametrize(
    ("module", "step"),
    [(snapshot, "_catalogue"), (versions, "show"), (versions, "sync")],
)
def test_a_snapshot_killed_between_steps_leaves_the_old_pointer_valid(
    built: duckdb.DuckDBPyConnection,
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    step: str,
) -> None:
    """Readers followed the pointer into a folder that was half there."""
    publish_snapshot(built, paths)
    built.execute("delete from dmo.sales_order")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            publish_snapshot(built, paths)
    catalogue = catalogue_path(paths)
    assert rows_seen_by_another_process(catalogue, "dmo.sales_order") == 7
    assert publish_snapshot(built, paths).version == 2
    assert rows_seen_by_another_process(catalogue, "dmo.sales_order") == 0


def test_a_reader_keeps_its_version_while_the_next_one_is_published(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """A dashboard read two halves of two publications."""
    publish_snapshot(built, paths)
    catalogue = catalogue_path(paths)
    with duckdb.connect(str(catalogue), read_only=True) as reader:
        built.execute("delete from dmo.sales_order")
        publish_snapshot(built, paths)
        count = reader.execute("select count(*) from dmo.sales_order").fetchone()
    assert count == (7,)


def test_a_snapshot_that_was_moved_is_made_anew(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """The views of a restored backup named files on the machine it came from."""
    publish_snapshot(built, paths)
    moved = Paths(paths.root / "elsewhere")
    moved.root.mkdir()
    paths.serving.rename(moved.serving)
    result = publish_snapshot(built, moved)
    assert (result.created, result.written) == (True, ())
    catalogue = catalogue_path(moved)
    assert rows_seen_by_another_process(catalogue, "dmo.sales_order") == 7


def manifest_of(database: str, folder: Path, parsed_at: str = "now") -> Path:
    node = {
        "relation_name": f'"{database}"."dmo"."sales_order"',
        "resource_type": "model",
        "checksum": {"checksum": "1"},
        "created_at": parsed_at,
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps({"nodes": {"model.cdp.sales_order": node}}))
    return path


def test_the_snapshot_carries_the_manifest_that_analysts_defer_to(
    built: duckdb.DuckDBPyConnection, paths: Paths, tmp_path: Path
) -> None:
    """A version per parse; and a manifest that named the analyst's own file."""
    assert publish_snapshot(built, paths, manifest_of("warehouse", tmp_path)).created
    again = manifest_of("warehouse", tmp_path, parsed_at="later")
    assert not publish_snapshot(built, paths, again).created
    live = versions.current(paths.serving)
    assert live is not None
    assert "warehouse" in (live / "manifest.json").read_text()
    assert publish_snapshot(built, paths, manifest_of("dev", tmp_path)).version == 2
    assert not (paths.serving / "current" / "manifest.json").exists()


@pytest.mark.slow
def test_an_analyst_builds_an_insight_on_the_snapshot_in_a_file_of_their_own(
    built: duckdb.DuckDBPyConnection, paths: Paths, tmp_path: Path
) -> None:
    """dbt's default target wanted the warehouse, which only one process may open."""
    project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target"))
    environment = os.environ | {
        "CDP_WAREHOUSE": str(paths.warehouse),
        "CDP_SNAPSHOT": str(catalogue_path(paths)),
        "CDP_DEV_WAREHOUSE": str(tmp_path / "dev.duckdb"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }

    def dbt(*arguments: str) -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("dbt"), "--no-use-colors", *arguments],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    dbt("parse", "--target", "warehouse")
    publish_snapshot(built, paths, project / "target" / "manifest.json")
    (project / "models" / "insights" / "initial.sql").write_text(
        "select people.unified_individual_id, left(people.first_name, 1) as initial\n"
        "from {{ ref('unified_individual') }} as people\n"
        "inner join {{ source('identity', 'unified_link_individual') }} as link\n"
        "using (unified_individual_id) where people.first_name is not null\n"
        "group by all\n"
    )
    (project / "models" / "insights" / "initial.yml").write_text(
        "models:\n  - name: initial\n    columns:\n"
        "      - {name: unified_individual_id, data_type: varchar,"
        " data_tests: [unique]}\n"
        "      - {name: initial, data_type: varchar}\n"
    )
    state = ["--defer", "--state", str(paths.serving / "current")]
    # `built` has the warehouse open for writing all the while.
    said = dbt("build", "--select", "state:modified", *state)
    assert "PASS=2" in said
    with duckdb.connect(str(tmp_path / "dev.duckdb"), read_only=True) as dev:
        initials = dev.execute("select initial from insights.initial order by 1")
        assert initials.fetchall() == [("A",), ("B",), ("C",)]
