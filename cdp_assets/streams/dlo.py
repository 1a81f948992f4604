"""The data lake objects: one table per stream, made from its declaration."""

from collections.abc import Iterable

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.errors import OperatorError
from cdp_assets.streams.declared import SQL_TYPES
from cdp_assets.streams.drift import adopt_declared
from cdp_assets.streams.spec import StreamSpec


class SchemaConflictError(OperatorError, ValueError):
    """A declared type that the table's column does not have."""


def table_name(spec: StreamSpec) -> str:
    """The stream's table, ready for SQL."""
    return f"dlo.{quoted(spec.name)}"


def has_table(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> bool:
    """Whether the stream's table exists, which it does from its first load on."""
    found = connection.execute(
        """
        select 1 from duckdb_tables()
        where database_name = current_database() and schema_name = 'dlo'
            and table_name = ?
        """,
        [spec.name],
    ).fetchone()
    return found is not None


def ensure_table(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> None:
    """Create the stream's table, or add what its declaration has gained.

    A field that is no longer declared stays, and is null in new rows.

    Raises:
        SchemaConflictError: A field's type changed.
    """
    wanted = {
        name: SQL_TYPES[field.type] for name, field in spec.fields.items()
    } | spec.bookkeeping
    columns = ", ".join(f"{quoted(name)} {type_}" for name, type_ in wanted.items())
    connection.execute(f"create table if not exists {table_name(spec)} ({columns})")
    there = {
        name.lower(): type_.lower()
        for name, type_ in connection.execute(
            """
            select column_name, data_type from duckdb_columns()
            where database_name = current_database() and schema_name = 'dlo'
                and table_name = ?
            """,
            [spec.name],
        ).fetchall()
    }
    for name, type_ in wanted.items():
        if name.lower() not in there:
            connection.execute(
                f"alter table {table_name(spec)} add column {quoted(name)} {type_}"
            )
        elif there[name.lower()] != type_:
            raise SchemaConflictError(
                f"{spec.name}.yaml: fields: {name}: declared as {type_}, but the table "
                f"holds {there[name.lower()]}; declare that, or a field of another name"
            )
    adopt_declared(connection, spec)


def ensure_tables(
    connection: duckdb.DuckDBPyConnection, specs: Iterable[StreamSpec]
) -> None:
    """Create every stream's table: models find it empty rather than absent."""
    for spec in specs:
        ensure_table(connection, spec)
