"""Who is in a segment, since when, and who left when.

An open row of ``segments.membership`` is a member. Entering inserts a row, leaving
closes it, entering again inserts another. When two people turn out to be one, the
membership moves to the living id: a merge is neither an exit nor an entry, and the
survivor keeps the earlier entry. Rows closed before a merge stay under the id of then.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from cdp_assets.segments.spec import SegmentSpec, compile_members
from cdp_assets.warehouse import transaction


@dataclass(frozen=True)
class MembershipResult:
    """What an update did: members now, and how many entered, left or were carried."""

    members: int
    entered: int
    left: int
    carried: int


def update_membership(
    connection: duckdb.DuckDBPyConnection,
    spec: SegmentSpec,
    run: int,
    as_of: dt.datetime,
) -> MembershipResult:
    """Bring the segment's membership up to date; a second call changes nothing.

    Args:
        connection: The warehouse, open for writing.
        spec: The segment.
        run: The run that new members name as their cause.
        as_of: The instant at which people enter and leave (UTC).
    """
    query, timed = compile_members(spec)
    with transaction(connection):
        connection.execute(
            f"create or replace temp table segment_now as {query}",
            {"as_of": as_of} if timed else {},
        )
        carried = _carry_over(connection, spec.name)
        left = _count(
            connection,
            """
            update segments.membership set left_at = greatest($as_of, entered_at)
            where segment = $segment and left_at is null
                and unified_individual_id not in (
                    select unified_individual_id from segment_now
                )
            """,
            {"segment": spec.name, "as_of": as_of},
        )
        entered = _count(
            connection,
            """
            insert into segments.membership
            select $segment, unified_individual_id, $as_of, null, $run
            from segment_now
            where unified_individual_id not in (
                select unified_individual_id from segments.membership
                where segment = $segment and left_at is null
            )
            order by unified_individual_id
            """,
            {"segment": spec.name, "as_of": as_of, "run": run},
        )
        members = _count(connection, "select count(*) from segment_now", {})
        connection.execute("drop table segment_now")
    return MembershipResult(members, entered, left, carried)


def close_missing(
    connection: duckdb.DuckDBPyConnection, known: Collection[str], as_of: dt.datetime
) -> int:
    """Let the members of segments that are no longer declared leave.

    Returns:
        How many left.
    """
    return _count(
        connection,
        """
        update segments.membership set left_at = greatest($as_of, entered_at)
        where left_at is null and not list_contains($known, segment)
        """,
        {"known": sorted(known), "as_of": as_of},
    )


def _carry_over(connection: duckdb.DuckDBPyConnection, segment: str) -> int:
    """Move open rows of retired ids to those living ids that satisfy the condition.

    A retired id of which no living one satisfies stays, and leaves as anyone does.
    """
    connection.execute(
        """
        create or replace temp table segment_carried as
        with living as (
            select retired_id, unnest(live_ids) as unified_individual_id
            from identity.redirect
        )
        select living.retired_id, living.unified_individual_id,
            m.entered_at, m.entered_run
        from segments.membership as m
        join living on living.retired_id = m.unified_individual_id
        semi join segment_now
            on segment_now.unified_individual_id = living.unified_individual_id
        where m.segment = ? and m.left_at is null
        """,
        [segment],
    )
    carried = _count(
        connection, "select count(distinct retired_id) from segment_carried", {}
    )
    if carried:
        _move(connection, segment)
    connection.execute("drop table segment_carried")
    return carried


def _move(connection: duckdb.DuckDBPyConnection, segment: str) -> None:
    """Replace the open rows of retired and living ids by one row per living id."""
    connection.execute(
        """
        create or replace temp table segment_moved as
        with entries as (
            select unified_individual_id, entered_at, entered_run from segment_carried
            union all
            select unified_individual_id, entered_at, entered_run
            from segments.membership
            where segment = $segment and left_at is null and unified_individual_id in (
                select unified_individual_id from segment_carried
            )
        )
        select unified_individual_id,
            min(struct_pack(entered_at, entered_run)) as entry
        from entries group by unified_individual_id
        """,
        {"segment": segment},
    )
    connection.execute(
        """
        delete from segments.membership
        where segment = $segment and left_at is null and (
            unified_individual_id in (select retired_id from segment_carried)
            or unified_individual_id in (
                select unified_individual_id from segment_carried
            )
        )
        """,
        {"segment": segment},
    )
    connection.execute(
        """
        insert into segments.membership
        select $segment, unified_individual_id, entry.entered_at, null,
            entry.entered_run
        from segment_moved order by unified_individual_id
        """,
        {"segment": segment},
    )
    connection.execute("drop table segment_moved")


def _count(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object]
) -> int:
    row = connection.execute(sql, parameters).fetchone()
    return int(row[0]) if row else 0
