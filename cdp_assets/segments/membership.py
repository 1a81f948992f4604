"""Who is in a segment, since when, and who left when.

An open row of ``segments.membership`` is a member. Entering inserts a row, leaving
closes it, entering again inserts another. When two people turn out to be one, or one
to be two, the membership goes on under the living ids (``carrying``), also between a
segment's own times: neither is an exit or an entry. Rows closed before a merge stay
under the id of then.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from cdp_assets.segments import evaluation
from cdp_assets.segments.carrying import carry_over, find_ending, find_heirs
from cdp_assets.segments.compiling import compile_members
from cdp_assets.segments.namespace import GRAIN
from cdp_assets.segments.spec import SegmentSpec
from cdp_assets.warehouse import transaction


@dataclass(frozen=True)
class MembershipResult:
    """What an update did: members now, and how many entered, left or were carried."""

    members: int
    entered: int
    left: int
    carried: int
    # Whether the condition was evaluated; between its times only ids change.
    evaluated: bool = True


def update_membership(
    connection: duckdb.DuckDBPyConnection,
    spec: SegmentSpec,
    run: int,
    as_of: dt.datetime,
) -> MembershipResult:
    """Bring the segment's membership up to date; a second call changes nothing.

    Args:
        connection: The warehouse, open for writing.
        spec: The segment; those it names are up to date.
        run: The run that new members name as their cause.
        as_of: The instant at which people enter and leave (UTC).
    """
    with transaction(connection):
        due = evaluation.is_due(connection, spec, as_of)
        if due:
            query = compile_members(spec, as_of)
            sql, parameters = query.sql, query.parameters
        else:
            # Only who is nobody any more leaves between two evaluations.
            sql, parameters = f"select {GRAIN} from unified.unified_individual", {}
        connection.execute(
            f"create or replace temp table segment_now as {sql}", parameters
        )
        last_run = evaluation.last_run(connection, spec.name)
        find_heirs(connection, spec.name, last_run)
        carried = carry_over(connection, spec.name)
        connection.execute(
            f"create or replace temp table segment_entering as select {GRAIN} "
            f"from segment_now anti join segment_next using ({GRAIN}) where ?",
            [due],
        )
        find_ending(connection, spec.name, last_run)
        _write(connection, spec.name, run, as_of)
        if due:
            evaluation.note(connection, spec, run, as_of)
        members = _count(connection, _OPEN, {"segment": spec.name})
        entered = _count(connection, "select count(*) from segment_entering", {})
        left = _count(connection, "select count(*) from segment_ending", {})
        for table in _SCRATCH:
            connection.execute(f"drop table segment_{table}")
    return MembershipResult(members, entered, left, carried, evaluated=due)


def close_missing(
    connection: duckdb.DuckDBPyConnection, known: Collection[str], as_of: dt.datetime
) -> int:
    """Let the members of segments that are no longer declared leave.

    Returns:
        How many left.
    """
    for table in ("evaluation", "evaluated_stay"):
        connection.execute(
            f"delete from segments.{table} where not list_contains($known, segment)",
            {"known": sorted(known)},
        )
    return _count(
        connection,
        """
        update segments.membership set left_at = greatest($as_of, entered_at)
        where left_at is null and not list_contains($known, segment)
        """,
        {"known": sorted(known), "as_of": as_of},
    )


_SCRATCH = ("now", "stay", "heir", "next", "ending", "entering", "difference")
_OPEN = """
    select count(*) from segments.membership
    where segment = $segment and left_at is null
"""


def _write(
    connection: duckdb.DuckDBPyConnection,
    segment: str,
    run: int,
    as_of: dt.datetime,
) -> None:
    """Replace the open rows that differ.

    All rows go in by one statement. DuckDB 1.5.5 loses 122,880 rows or more, without an
    error, where the same transaction has put no rows into the same table before.
    """
    # Who has left has left: the rest of the period does not take that up again.
    connection.execute(
        f"""
        delete from segments.evaluated_stay where segment = ?
            and {GRAIN} not in (select {GRAIN} from segment_now)
            and {GRAIN} not in (
                select source from segment_heir semi join segment_next using ({GRAIN})
            )
        """,
        [segment],
    )
    connection.execute(
        f"""
        create or replace temp table segment_difference as
        with row as (
            from segments.membership where segment = ? and left_at is null
        )
        select {GRAIN}, next.entered_at, next.entered_run
        from row full join segment_next as next using ({GRAIN})
        where row.entered_at is distinct from next.entered_at
            or row.entered_run is distinct from next.entered_run
        """,
        [segment],
    )
    connection.execute(
        f"delete from segments.membership where segment = ? and left_at is null "
        f"and {GRAIN} in (select {GRAIN} from segment_difference)",
        [segment],
    )
    connection.execute(
        f"""
        insert into segments.membership
        with row as (
            select {GRAIN}, entered_at, null as left_at, entered_run
            from segment_difference where entered_at is not null
            union all
            select {GRAIN}, entered_at, greatest($as_of, entered_at), entered_run
            from segment_ending
            union all
            select {GRAIN}, $as_of, null, $run from segment_entering
        )
        select $segment, * from row order by {GRAIN}
        """,
        {"segment": segment, "run": run, "as_of": as_of},
    )


def _count(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object]
) -> int:
    row = connection.execute(sql, parameters).fetchone()
    return int(row[0]) if row else 0
