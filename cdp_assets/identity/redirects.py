"""Retired ids follow the records that they held, wherever these go later.

Somebody merged by mistake and parted again gets another id; whoever holds the one of
before must find that person, and not the one they were mistaken for. An id none of
whose records is there any more goes on leading where the last of them was; one that was
emptied stays so, because it may have been erased on purpose.
"""

import duckdb

from cdp_assets.identity.stability import redirect_kind


def stage_shortened(connection: duckdb.DuckDBPyConnection) -> None:
    """Older redirects that lead to an id retired now, shortened to one hop."""
    connection.execute(
        """
        create or replace temp table redirect_longer as
        with hop as (
            select retired_id, run, unnest(live_ids) as live_id from identity.redirect
        ),
        next_hop as (
            select
                hop.retired_id,
                hop.run,
                if(retired.retired_id is null, [hop.live_id], retired.live_ids) as ids,
                retired.retired_id is not null as longer
            from hop
            left join staged_retired as retired on hop.live_id = retired.retired_id
        )
        select
            retired_id,
            run,
            list_sort(list_distinct(flatten(list(ids)))) as live_ids
        from next_hop
        group by retired_id, run
        having bool_or(longer)
        """
    )


def stage_followed(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Put into ``redirect_longer`` where retired ids lead whose former records move.

    Reads the moves staged (``link_gone``, ``link_new``) and ``redirect_longer``, which
    shortens chains; where a record says more than the chain, the record stands.
    """
    _stage_held(connection, object_name)
    connection.execute(
        f"""
        create or replace temp table redirect_followed as
        with now as (
            select unified_id, record from link_new
            union all
            select unified_{object_name}_id, record
            from identity.unified_link_{object_name}
            where record in (select record from redirect_held)
                and record not in (select record from link_gone)
        ),
        members as (
            select held.retired_id, now.unified_id, count(*) as members
            from redirect_held as held inner join now using (record)
            group by all
        )
        select
            retired_id, list(unified_id order by members desc, unified_id) as live_ids
        from members group by retired_id;
        """
    )
    connection.execute(
        """
        delete from redirect_longer
        where retired_id in (select retired_id from redirect_followed);
        insert into redirect_longer by name
        select retired_id, redirect.run, followed.live_ids
        from redirect_followed as followed
        inner join identity.redirect as redirect using (retired_id)
        where list_sort(redirect.live_ids) <> list_sort(followed.live_ids);
        """
    )


def _stage_held(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Build ``redirect_held``: what each id concerned held when it was retired."""
    connection.execute(
        """
        create or replace temp table redirect_held as
        with touched as (
            select distinct unified_id from identity.link_history
            where object = $object and unified_id is not null and record in (
                select record from link_gone union select record from link_new
            )
        ),
        -- What an id held when it was retired left it in that very run.
        retired as (
            select registry.unified_id as retired_id, registry.retired_run
            from identity.registry as registry
            semi join touched using (unified_id)
            inner join identity.redirect as redirect
                on registry.unified_id = redirect.retired_id
            where registry.retired_run is not null and len(redirect.live_ids) > 0
        ),
        step as (
            select
                record, run,
                lag(unified_id) over (partition by record order by seq) as came_from
            from identity.link_history
            where record in (
                select record from identity.link_history
                where unified_id in (select retired_id from retired)
            )
        )
        select distinct retired.retired_id, step.record
        from step
        inner join retired
            on step.came_from = retired.retired_id and step.run = retired.retired_run;
        """,
        {"object": object_name},
    )


def apply_redirects(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    kind = redirect_kind("live_ids")
    connection.execute(
        """
        delete from identity.redirect as target using redirect_longer as longer
        where target.retired_id = longer.retired_id
        """
    )
    connection.execute(
        f"""
        insert into identity.redirect
        select retired_id, {kind}, live_ids, run from redirect_longer
        union all
        select retired_id, {kind}, live_ids, ? from staged_retired
        order by retired_id
        """,
        [run],
    )
