"""Stable ids: which id each group of records keeps, gets or gives up.

The registry is data, not a derivation: which id survives depends on history.
  - A person's id goes home to the group that holds most of its records.
  - Of the ids at home in one group, the one with most records there stays, then the
    oldest, then the smallest.
  - A group without an id gets a new one from its smallest record; an id that was
    retired is never given again.
  - A retired id redirects, in one hop, to wherever its records live now.
"""

import duckdb

_PREFIX = {"individual": "u_", "account": "a_"}


def stage_everybody(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Build ``scope_record``, all nodes by record, and ``published``, all links."""
    connection.execute(
        f"""
        create or replace temp table scope_record as
        select node_id, record from staged_node;
        create or replace temp table published as
        select
            unified_{object_name}_id as unified_id, record, tier, linked_at_run
        from identity.unified_link_{object_name}
        """
    )


def stage_ids(
    connection: duckdb.DuckDBPyConnection, object_name: str, *, run: int
) -> None:
    """Build ``staged_link``, ``staged_mint`` and ``staged_retired`` of one object.

    Reads ``scope_record``, ``staged_component`` (linked records; others are alone),
    ``staged_tier`` and ``published``; ids go to the people of that scope alone.
    """
    connection.execute(
        """
        create or replace temp table staged_part as
        select record, coalesce(component, node_id) as part
        from scope_record
        left join staged_component using (node_id)
        """
    )
    _claim(connection, object_name)
    _mint(connection, object_name)
    _link(connection, run)
    _retire(connection)


def _claim(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Every id goes home to one group, and every group keeps one of its ids."""
    connection.execute(
        """
        create or replace temp table id_claim as
        with overlap as (
            select part, unified_id, count(*) as members, min(record) as first_record
            from staged_part
            inner join published using (record)
            group by part, unified_id
        ),
        home as (
            select * from overlap
            qualify row_number() over (
                partition by unified_id order by members desc, first_record
            ) = 1
        )
        select home.part, home.unified_id
        from home
        inner join identity.registry as registry
            on home.unified_id = registry.unified_id and registry.object = ?
        qualify row_number() over (
            partition by home.part
            order by home.members desc, registry.born_run, home.unified_id
        ) = 1
        """,
        [object_name],
    )


def _mint(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Ids for groups without one, from their smallest record and its past mints."""
    connection.execute(
        """
        create or replace temp table staged_mint as
        with minted as (
            select minted_from, count(*) as times from identity.registry
            where object = $object
            group by minted_from
        )
        select
            part,
            $prefix || substr(
                md5(first_record || '#' || coalesce(minted.times, 0)), 1, 16
            ) as unified_id,
            first_record as minted_from
        from (
            select part, min(record) as first_record
            from staged_part
            anti join id_claim using (part)
            group by part
        )
        left join minted on first_record = minted.minted_from
        """,
        {"object": object_name, "prefix": _PREFIX[object_name]},
    )


def _link(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """One row per record; who stays with the same person keeps the run of joining."""
    connection.execute(
        """
        create or replace temp table staged_link as
        select
            owner.unified_id,
            staged_part.record,
            tier.tier,
            if(
                published.unified_id = owner.unified_id, published.linked_at_run, $run
            ) as linked_at_run
        from staged_part
        inner join (
            select part, unified_id from id_claim
            union all
            select part, unified_id from staged_mint
        ) as owner using (part)
        inner join staged_tier as tier using (record)
        left join published using (record)
        """,
        {"run": run},
    )


def _retire(connection: duckdb.DuckDBPyConnection) -> None:
    """Ids without a person now, and the living ids that hold their former records."""
    connection.execute(
        """
        create or replace temp table staged_retired as
        select
            unified_id as retired_id,
            coalesce(
                list(live_id order by members desc, live_id)
                    filter (where live_id is not null),
                []
            ) as live_ids
        from (
            select published.unified_id, link.unified_id as live_id, count(*) as members
            from published
            left join staged_link as link using (record)
            where published.unified_id not in (select unified_id from staged_link)
            group by 1, 2
        )
        group by unified_id
        """
    )


def redirect_kind(live_ids: str) -> str:
    """SQL for what became of a retired id, from the list of ids it leads to."""
    return (
        f"case len({live_ids}) when 0 then 'emptied' when 1 then 'merged' "
        "else 'split' end"
    )
