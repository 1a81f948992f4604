"""Which views can stand over the snapshot's files, and which have to be copied."""

from collections.abc import Iterator

import duckdb
import pytest

from cdp_assets.publication.portable_views import portable_views

TABLES = ("dmo.person", "unified.member", "unified.adult")


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            """
            attach ':memory:' as warehouse; use warehouse;
            create schema dlo; create schema dmo; create schema unified;
            create table dlo.raw (id integer, "odd ""name" varchar);
            create table dmo.person (id integer, age integer, "odd ""name" varchar);
            """
        )
        yield connection


def view(
    connection: duckdb.DuckDBPyConnection, query: str, name: str = "unified.member"
) -> None:
    connection.execute(f"create view {name} as {query}")


def test_a_view_of_tables_and_views_stands_after_what_it_reads(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    view(warehouse, "from warehouse.dmo.person", "unified.member")
    view(
        warehouse,
        "with person as (from warehouse.unified.member) select id from person "
        "where age >= (select max(18) from warehouse.dmo.person)",
        "unified.adult",
    )

    found = portable_views(warehouse, sorted(TABLES, reverse=True))

    assert list(found) == ["unified.member", "unified.adult"]
    assert "warehouse" not in " ".join(found.values())


@pytest.mark.parametrize(
    "query",
    [
        "select id from warehouse.dlo.raw",
        "select years(age) as age from dmo.person",
        "select id from dmo.person where id in (select id from dlo.raw)",
    ],
)
def test_one_that_reads_or_calls_what_is_not_there_is_copied(
    warehouse: duckdb.DuckDBPyConnection, query: str
) -> None:
    warehouse.execute("create macro years(age) as age + 1")
    view(warehouse, query)
    view(warehouse, "from unified.member", "unified.adult")

    assert portable_views(warehouse, TABLES) == {}


def test_one_that_gives_its_columns_names_is_copied(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("create view unified.member (key) as select id from dmo.person")

    assert portable_views(warehouse, TABLES[:2]) == {}


def test_a_table_named_like_the_database_keeps_its_name(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("create table dmo.warehouse as select 1 as warehouse")
    view(warehouse, "select warehouse.warehouse from warehouse.dmo.warehouse")

    (query,) = portable_views(warehouse, ["dmo.warehouse", "unified.member"]).values()

    assert "dmo.warehouse" in query
