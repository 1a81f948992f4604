"""Connected components: which records hang together through any chain of links.

Set-based: every round contracts the graph, each group hooking onto its smallest
neighbour and then jumping to the end of that chain, so a chain of n records takes about
log n rounds (Splink's own loop takes n of them on a chain in order).
"""

import duckdb


def stage_components(
    connection: duckdb.DuckDBPyConnection, edges: str, into: str
) -> None:
    """Label every node of ``edges`` with the smallest node id it hangs together with.

    Args:
        connection: Where the temporary tables are.
        edges: A table of ``node_l``, ``node_r``.
        into: Created: ``node_id``, ``component``. Nodes without an edge are absent.
    """
    connection.execute(
        f"""
        create or replace temp table graph_label as
        select node_id, node_id as label
        from (select node_l as node_id from {edges} union select node_r from {edges});
        create or replace temp table graph_edge as
        select distinct node_l as a, node_r as b from {edges};
        """
    )
    while _count(connection, "graph_edge"):
        _hook(connection)
        _jump(connection)
        _contract(connection)
    connection.execute(
        f"""
        create or replace temp table {into} as
        select node_id, label as component from graph_label;
        drop table graph_label;
        drop table graph_edge;
        """
    )


def _hook(connection: duckdb.DuckDBPyConnection) -> None:
    """Point every group at its smallest neighbour, or at itself if it is smaller."""
    connection.execute(
        """
        create or replace temp table graph_parent as
        select a as label, least(a, min(b)) as parent
        from (
            select a, b from graph_edge
            union all
            select b, a from graph_edge
        )
        group by a
        """
    )


def _jump(connection: duckdb.DuckDBPyConnection) -> None:
    """Follow the pointers to their ends, twice as far every time."""
    moved = 1
    while moved:
        connection.execute(
            """
            create or replace temp table graph_further as
            select parent.label, above.parent, parent.parent <> above.parent as moved
            from graph_parent as parent
            inner join graph_parent as above on parent.parent = above.label
            """
        )
        moved = _count(connection, "graph_further where moved")
        connection.execute(
            """
            create or replace temp table graph_parent as
            select label, parent from graph_further
            """
        )


def _contract(connection: duckdb.DuckDBPyConnection) -> None:
    """Give nodes their group's label, and keep the edges between groups."""
    connection.execute(
        """
        create or replace temp table graph_label as
        select graph_label.node_id, coalesce(parent.parent, graph_label.label) as label
        from graph_label
        left join graph_parent as parent on graph_label.label = parent.label;
        create or replace temp table graph_edge as
        select distinct
            least(l.parent, r.parent) as a,
            greatest(l.parent, r.parent) as b
        from graph_edge
        inner join graph_parent as l on graph_edge.a = l.label
        inner join graph_parent as r on graph_edge.b = r.label
        where l.parent <> r.parent;
        """
    )


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    return int(connection.execute(f"select count(*) from {source}").fetchall()[0][0])
