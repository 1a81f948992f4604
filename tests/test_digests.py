"""Digests: equal content gives equal digests, and nothing else does."""

import duckdb
import pytest

from cdp_assets.digests import digest, digests


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute("create schema a")
        yield connection


def test_the_order_of_rows_and_columns_does_not_count(connection):
    connection.execute("create table a.x as select i, i::varchar s from range(9) r(i)")
    connection.execute("create table a.y as select s, i from a.x order by i desc")

    assert digest(connection, "a.x") == digest(connection, "a.y")


@pytest.mark.parametrize(
    "change",
    [
        "insert into a.y values (3, '3')",
        "delete from a.y where i = 3",
        "update a.y set s = null where i = 3",
        "update a.y set s = '4' where i = 3",
        "alter table a.y rename s to t",
    ],
)
def test_any_change_counts(connection, change):
    """A digest that misses a repeated row calls a double load the same."""
    connection.execute("create table a.x as select i, i::varchar s from range(9) r(i)")
    connection.execute("create table a.y as from a.x")
    connection.execute(change)

    assert digest(connection, "a.x") != digest(connection, "a.y")


def test_swapped_values_between_rows_count(connection):
    connection.execute("create table a.x as select * from (values (1, 2), (3, 4)) t")
    connection.execute("create table a.y as select * from (values (1, 4), (3, 2)) t")

    assert digest(connection, "a.x") != digest(connection, "a.y")


def test_excluded_columns_do_not_count(connection):
    connection.execute("create table a.x as select 1 as i, 2 as _load_seq")
    connection.execute("create table a.y as select 1 as i, 3 as _LOAD_SEQ")

    found = digests(connection, ["a"], exclude=("_load_seq", "_file"))

    assert found["a.x"] == found["a.y"]


def test_a_table_that_does_not_exist_is_an_error(connection):
    with pytest.raises(ValueError, match="no such table"):
        digest(connection, "a.nothing")


def test_an_empty_table_has_a_digest(connection):
    connection.execute("create table a.x (i integer)")

    assert digest(connection, "a.x") == "0-empty"
