"""Whose condition became true, and which events met theirs: the edges of one look.

Everybody is looked at, in one statement over tables that dbt has built anew: what
changed there nobody has marked, and a window may move for a person of whom nothing new
was heard. What was true at the last look is the memory of ``activation.action_state``,
so an edge is the same however many waves lie between two looks.
"""

import datetime as dt

import duckdb

from cdp_assets.data_actions.facts import ARRIVED, needs_time, people
from cdp_assets.data_actions.sources import EVENT, SOURCES
from cdp_assets.data_actions.spec import DataActionSpec
from cdp_assets.declarations import quoted
from cdp_assets.segments.expression import read_expression


def find_edges(
    connection: duckdb.DuckDBPyConnection,
    spec: DataActionSpec,
    as_of: dt.datetime,
    *,
    is_given: bool,
) -> None:
    """Fill ``action_step`` with what is true of everybody, and who is to be told of.

    Args:
        connection: The warehouse, with action_before of ``carrying``.
        spec: An action on change.
        as_of: The instant that ``run.as_of`` means (UTC).
        is_given: Take what is true now as given: it is no edge.
    """
    condition = read_expression(spec.when)
    fields = {name: read_expression(spec.payload[name]) for name in spec.previous}
    aliases = condition.aliases.union(*(each.aliases for each in fields.values()))
    packed = ", ".join(f"{quoted(n)} := {e.enclosed}" for n, e in fields.items())
    kept = f"to_json(struct_pack({packed}))::varchar" if fields else "null::varchar"
    connection.execute(
        f"""
        create or replace temp table action_now as
        select profile.unified_individual_id,
            coalesce({condition.enclosed}, false) as is_true, {kept} as kept
        {people(spec, aliases)}
        """,
        {"as_of": as_of} if needs_time(aliases) else {},
    )
    connection.execute(
        """
        create or replace temp table action_step as
        with paired as (
            select n.unified_individual_id, n.is_true, n.kept, b.kept as earlier,
                coalesce(b.edges, 0) as edges, b.fired_at,
                n.is_true and not coalesce(b.was_true, false) and not $given as is_edge
            from action_now as n left join action_before as b
                using (unified_individual_id)
        )
        select unified_individual_id, is_true, kept, earlier, fired_at, is_edge,
            edges + is_edge::bigint as edges,
            is_edge and coalesce(fired_at <= $quiet_since, true) as is_fired,
            null::varchar as event_id
        from paired
        """,
        {"given": is_given, "quiet_since": _quiet_since(spec, as_of)},
    )


def find_arrivals(
    connection: duckdb.DuckDBPyConnection,
    spec: DataActionSpec,
    as_of: dt.datetime,
    *,
    is_given: bool,
) -> None:
    """Fill ``action_event_now`` with events not looked at, ``action_step`` as above.

    With a cool-down, of several events of a person the first one is told of.
    """
    connection.execute(
        f"""
        create or replace temp table {ARRIVED} as
        select * from ({SOURCES[spec.trigger].query})
        where happened_at > $oldest and happened_at <= $as_of
            and unified_individual_id is not null
            and event_id not in (
                select event from activation.action_event where action = $action
            )
        """,
        {"oldest": as_of - spec.max_age, "as_of": as_of, "action": spec.name},
    )
    condition = read_expression(spec.when)
    aliases = condition.aliases | {EVENT}
    at = {"as_of": as_of} if needs_time(aliases) else {}
    connection.execute(
        f"""
        create or replace temp table action_step as
        with met as (
            select profile.unified_individual_id, {EVENT}.event_id,
                {EVENT}.happened_at
            {people(spec, aliases)}
            where coalesce({condition.enclosed}, false) and not $given
        )
        select met.unified_individual_id, true as is_true, null::varchar as kept,
            null::varchar as earlier, b.fired_at, true as is_edge,
            coalesce(b.edges, 0) + 1 as edges,
            coalesce(b.fired_at <= $quiet_since, true)
                and (not $cools or row_number() over (
                    partition by met.unified_individual_id
                    order by happened_at, event_id
                ) = 1) as is_fired,
            event_id
        from met left join action_before as b using (unified_individual_id)
        """,
        {
            "given": is_given,
            "quiet_since": _quiet_since(spec, as_of),
            "cools": spec.cool_down is not None,
            **at,
        },
    )


def _quiet_since(spec: DataActionSpec, as_of: dt.datetime) -> dt.datetime:
    """A message planned after this instant keeps another one back."""
    if spec.cool_down is None:
        return dt.datetime.max  # noqa: DTZ901 - the warehouse's instants are UTC
    return as_of - spec.cool_down
