"""Migrations: a warehouse of an earlier version, with rows in it, loses nothing."""

import shutil
from pathlib import Path

import duckdb
import pytest

from cdp_assets.digests import columns_of, digests
from cdp_assets.operations.manifest import latest_migration
from cdp_assets.warehouse import MIGRATIONS, migrate

VERSIONS = sorted(path.name for path in MIGRATIONS.glob("[0-9]*.sql"))
# Rows with every column filled, three per table, whatever the table.
ROWS = 3


def earlier(folder: Path, last: str) -> Path:
    """The migrations up to and with ``last``, as that version shipped them."""
    folder.mkdir()
    for name in VERSIONS:
        if name <= last:
            shutil.copy(MIGRATIONS / name, folder)
    return folder


def tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return connection.execute(
        """
        select schema_name, table_name from duckdb_tables()
        where database_name = current_database() and not temporary
            and table_name <> 'migration' order by 1, 2
        """
    ).fetchall()


def fill(connection: duckdb.DuckDBPyConnection) -> None:
    """Put rows into every table that there is."""
    for schema, name in tables(connection):
        columns = connection.execute(
            """
            select data_type from duckdb_columns()
            where database_name = current_database()
                and schema_name = ? and table_name = ? order by column_index
            """,
            [schema, name],
        ).fetchall()
        values = ", ".join(value_of(type_) for (type_,) in columns)
        connection.execute(
            f'insert into {schema}."{name}" select {values} from range({ROWS}) as t(i)'
        )


def value_of(type_: str) -> str:
    """An expression over ``i`` that gives a value of that type."""
    if type_.endswith("[]"):
        return f"[{value_of(type_[:-2])}]"
    if type_.startswith(("STRUCT", "MAP")):
        return f"cast(null as {type_})"
    return {
        "VARCHAR": "'text ü ' || i",
        "JSON": "to_json({'n': i})",
        "BOOLEAN": "i % 2 = 0",
        "DATE": "date '2026-01-01' + i::integer",
        "TIMESTAMP": "timestamp '2026-01-01 02:03:04.567' + to_days(i::integer)",
    }.get(type_, f"cast(i as {type_})")


@pytest.mark.parametrize("last", VERSIONS[:-1])
def test_every_earlier_version_migrates_and_keeps_its_rows(
    tmp_path: Path, last: str
) -> None:
    """A migration that makes a table anew would take the ids of all people with it."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        migrate(connection, earlier(tmp_path / "then", last))
        fill(connection)
        there = tables(connection)
        old_columns = {table: columns_of(connection, *table) for table in there}
        before = digests(connection, sorted({schema for schema, _ in there}))
    # Opened anew, as the next version does.
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        migrate(connection)
        for table, columns in old_columns.items():
            new = [
                each for each in columns_of(connection, *table) if each not in columns
            ]
            name = ".".join(table)
            after = digests(connection, [table[0]], exclude=new)[name]
            assert columns == [
                each for each in columns_of(connection, *table) if each in columns
            ], name
            if name != "ops.migration":
                assert after == before[name], name
                assert after.startswith(f"{ROWS}-"), name
        (version,) = connection.execute(
            "select max(version) from ops.migration"
        ).fetchone() or (0,)
        assert version == latest_migration()


@pytest.mark.parametrize("last", VERSIONS[:-1])
def test_migrated_and_new_warehouses_are_the_same(tmp_path: Path, last: str) -> None:
    """Otherwise what is tested on a new one fails on an old one."""

    def shape(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
        return connection.execute(
            """
            select schema_name, table_name, column_name, data_type, is_nullable
            from duckdb_columns() where database_name = current_database()
            order by all
            """
        ).fetchall()

    with duckdb.connect() as new, duckdb.connect() as old:
        migrate(new)
        migrate(old, earlier(tmp_path / "then", last))
        migrate(old)
        assert shape(old) == shape(new)


def test_numbers_are_given_once() -> None:
    """Of two migrations with one number the second would never be applied."""
    numbers = [name.split("_")[0] for name in VERSIONS]
    assert len(set(numbers)) == len(numbers)
