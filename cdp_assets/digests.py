"""Digests of tables: whether two tables hold the same rows, in whatever order.

Each row becomes JSON text and then an MD5; the 64-bit halves are summed without
overflow. A sum, unlike an exclusive or, also sees a row that is there twice.
"""

from collections.abc import Iterable, Sequence

import duckdb

from cdp_assets.declarations import quoted

# What says how a row arrived and not what it holds.
ARRIVAL = ("_file", "_line", "_load_seq")
# The digest of a table without rows.
EMPTY = "0-empty"


def digest(
    connection: duckdb.DuckDBPyConnection, table: str, exclude: Iterable[str] = ()
) -> str:
    """Hash the content of ``schema.table`` independently of row order.

    Args:
        connection: An open warehouse.
        table: Schema and table, such as ``dlo.crm_contact``.
        exclude: Columns that do not count, such as ``ARRIVAL``. Those the table does
            not have are no error.

    Returns:
        The number of rows and a hash, as ``rows-hash``. Column order does not matter,
        column names do.

    Raises:
        ValueError: There is no such table, or no column is left.
    """
    schema, name = table.split(".")
    left_out = {column.lower() for column in exclude}
    columns = [
        column
        for column in columns_of(connection, schema, name)
        if column.lower() not in left_out
    ]
    if not columns:
        raise ValueError(f"{table}: no such table, or no column left to compare")
    packed = ", ".join(f"{_quoted(column)} := {_quoted(column)}" for column in columns)
    row = connection.execute(
        f"""
        select count(*), sum(md5_number_lower(row)::hugeint)::varchar,
            sum(md5_number_upper(row)::hugeint)::varchar
        from (
            select to_json(struct_pack({packed}))::varchar as row
            from {quoted(schema)}.{quoted(name)}
        )
        """
    ).fetchone()
    rows, lower, upper = row or (0, None, None)
    if not rows:
        return EMPTY
    mixed = (int(lower) * 31 + int(upper)) % (1 << 128)
    return f"{rows}-{mixed:032x}"


def digests(
    connection: duckdb.DuckDBPyConnection,
    schemas: Sequence[str],
    exclude: Iterable[str] = (),
) -> dict[str, str]:
    """Digest every table and view of ``schemas``, by ``schema.table``."""
    tables = connection.execute(
        """
        select table_schema || '.' || table_name from information_schema.tables
        where table_catalog = current_database() and list_contains(?, table_schema)
        order by 1
        """,
        [list(schemas)],
    ).fetchall()
    left_out = tuple(exclude)
    return {table: digest(connection, table, left_out) for (table,) in tables}


def columns_of(
    connection: duckdb.DuckDBPyConnection, schema: str, name: str
) -> list[str]:
    """Column names of a table or view in alphabetical order; empty if there is none."""
    found = connection.execute(
        """
        select column_name from information_schema.columns
        where table_catalog = current_database() and table_schema = ?
            and table_name = ? order by lower(column_name)
        """,
        [schema, name],
    ).fetchall()
    return [column for (column,) in found]


def _quoted(column: str) -> str:
    # Names come from the catalogue, not from input, but may hold any character.
    return '"' + column.replace('"', '""') + '"'
