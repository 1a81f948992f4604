"""``identity.matchable_<object>``: every node as it was compared last.

What changed records are compared with. The columns follow the program: a full run makes
the table anew where they differ, and a program that differs makes a full run.
"""

import duckdb


def stage_matchable_delta(
    connection: duckdb.DuckDBPyConnection, object_name: str, *, full: bool
) -> None:
    """Build ``matchable_gone`` and ``matchable_new``: what publishing swaps."""
    table = f"identity.matchable_{object_name}"
    if not full:
        connection.execute(
            "create or replace temp table matchable_gone as from recompared"
        )
        return
    staged = _shape(connection, "temp", "staged_matchable")
    if _shape(connection, "identity", f"matchable_{object_name}") != staged:
        connection.execute(f"drop table if exists {table}")
        connection.execute(f"create table {table} as from staged_matchable limit 0")
    connection.execute(
        f"""
        create or replace temp table matchable_gone as
        select node_id from (
            select node_id, hash(old) as digest from {table} as old
        )
        anti join (
            select node_id, hash(new) as digest from staged_matchable as new
        ) using (node_id, digest);
        create or replace temp table matchable_new as
        from staged_matchable where node_id in (from matchable_gone)
            or node_id not in (select node_id from {table});
        """
    )


def apply_matchable(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Publish the delta; the caller holds the transaction."""
    table = f"identity.matchable_{object_name}"
    connection.execute(f"delete from {table} where node_id in (from matchable_gone)")
    connection.execute(f"insert into {table} by name from matchable_new")


def is_made(connection: duckdb.DuckDBPyConnection, object_name: str) -> bool:
    """Whether a run of this version has made the table yet."""
    return bool(_shape(connection, "identity", f"matchable_{object_name}"))


def _shape(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str
) -> list[tuple[str, str]]:
    """Names and types of a table's columns; none where there is no table."""
    return connection.execute(
        """
        select column_name, data_type from duckdb_columns()
        where table_name = ? and (
            (database_name = current_database() and schema_name = ?)
            or database_name = ?
        )
        order by column_index
        """,
        [table, schema, schema],
    ).fetchall()
