"""What a query that makes pairs says to one pair: ``asked_pair``, of two records."""

import duckdb

from cdp_assets.identity.pairs import PairQuery, in_words


def stage_asked_pair(connection: duckdb.DuckDBPyConnection, records: list[str]) -> None:
    connection.execute(
        """
        create or replace temp table asked_pair as
        select min(node_id) as node_l, max(node_id) as node_r from staged_matchable
        where record in (select unnest($records::varchar[]))
        """,
        {"records": records},
    )


def holds(connection: duckdb.DuckDBPyConnection, query: PairQuery) -> bool:
    """Whether the two records satisfy the query, caps apart."""
    conditions = [f"l.{key} = r.{key}" for key in query.keys] + query.filters
    rows = connection.execute(
        f"""
        select 1 from asked_pair
        inner join ({query.keyed()}) as l on l.node_id = asked_pair.node_l
        inner join ({query.keyed()}) as r on r.node_id = asked_pair.node_r
        where {" and ".join(conditions)} limit 1
        """
    ).fetchall()
    return bool(rows)


def said(connection: duckdb.DuckDBPyConnection, query: PairQuery, side: str) -> str:
    """What one record says to a criterion, in the form that is compared."""
    rows = connection.execute(
        f"""
        select string_agg(distinct k0::varchar, ', ' order by k0::varchar)
        from ({query.keyed()}) where node_id = (select {side} from asked_pair)
        """
    ).fetchall()
    return rows[0][0] or ""


def _common(query: PairQuery, names: list[str]) -> str:
    """SELECT of the values of these columns that both records have."""
    columns = ", ".join(names)
    return f"""
        select {columns} from ({query.keyed()})
        where node_id = (select node_l from asked_pair)
        intersect
        select {columns} from ({query.keyed()})
        where node_id = (select node_r from asked_pair)
    """


def too_common(
    connection: duckdb.DuckDBPyConnection, object_name: str, name: str, query: PairQuery
) -> str:
    for names in (query.values, query.keys):
        rows = connection.execute(
            f"""
            select value, records from identity.shared_identifier
            where object = ? and cap = 'at_most' and field = ? and value in (
                select {in_words(names)} from ({_common(query, names)})
            )
            """,
            [object_name, name],
        ).fetchall()
        if rows:
            return f"{rows[0][0]!r}, which {rows[0][1]:,} records carry"
    return ""


def carriers(connection: duckdb.DuckDBPyConnection, query: PairQuery) -> int:
    keys = ", ".join(query.keys)
    rows = connection.execute(
        f"""
        select min(records) from (
            select {keys}, count(*) as records
            from ({query.keyed()})
            semi join ({_common(query, query.keys)}) using ({keys})
            group by {keys}
        )
        """
    ).fetchall()
    return int(rows[0][0] or 0)
