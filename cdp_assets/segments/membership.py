"""Who is in a segment, since when, and who left when.

An open row of ``segments.membership`` is a member. Entering inserts a row, leaving
closes it, entering again inserts another. When two people turn out to be one, or one
to be two, the membership goes on under the living ids (``carrying``): neither is an
exit or an entry. Rows closed before a merge stay under the id of then.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from cdp_assets.segments import evaluation
from cdp_assets.segments.carrying import carry_over, find_heirs
from cdp_assets.segments.compiling import compile_members
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
        if not due and not _somebody_is_gone(connection, spec.name):
            members = _count(connection, _OPEN, {"segment": spec.name})
            return MembershipResult(members, 0, 0, 0, evaluated=False)
        query = compile_members(spec, as_of)
        connection.execute(
            f"create or replace temp table segment_now as {query.sql}",
            query.parameters,
        )
        find_heirs(connection, spec.name, evaluation.last_run(connection, spec.name))
        if not due:
            _keep_who_stays(connection, spec.name)
        carried = carry_over(connection, spec.name)
        left = _let_leave(connection, spec.name, as_of)
        entered = _let_enter(connection, spec.name, run, as_of)
        if due:
            evaluation.note(connection, spec, run, as_of)
        members = _count(connection, "select count(*) from segment_now", {})
        connection.execute("drop table segment_now")
        connection.execute("drop table segment_heir")
    return MembershipResult(members, entered, left, carried, evaluated=due)


def close_missing(
    connection: duckdb.DuckDBPyConnection, known: Collection[str], as_of: dt.datetime
) -> int:
    """Let the members of segments that are no longer declared leave.

    Returns:
        How many left.
    """
    connection.execute(
        "delete from segments.evaluation where not list_contains($known, segment)",
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


_OPEN = """
    select count(*) from segments.membership
    where segment = $segment and left_at is null
"""


def _somebody_is_gone(connection: duckdb.DuckDBPyConnection, segment: str) -> bool:
    """Whether an open row names an id that is no person any more."""
    return bool(
        _count(
            connection,
            f"{_OPEN} and unified_individual_id not in ("
            "select unified_individual_id from unified.unified_individual)",
            {"segment": segment},
        )
    )


def _keep_who_stays(connection: duckdb.DuckDBPyConnection, segment: str) -> None:
    """Between its times: members who are still there, and heirs who satisfy."""
    connection.execute(
        """
        create or replace temp table segment_now as
        select unified_individual_id from segment_now
        semi join segment_heir using (unified_individual_id)
        union
        select unified_individual_id from segments.membership
        semi join unified.unified_individual using (unified_individual_id)
        where segment = ? and left_at is null
        """,
        [segment],
    )


def _let_leave(
    connection: duckdb.DuckDBPyConnection, segment: str, as_of: dt.datetime
) -> int:
    return _count(
        connection,
        """
        update segments.membership set left_at = greatest($as_of, entered_at)
        where segment = $segment and left_at is null
            and unified_individual_id not in (
                select unified_individual_id from segment_now
            )
        """,
        {"segment": segment, "as_of": as_of},
    )


def _let_enter(
    connection: duckdb.DuckDBPyConnection, segment: str, run: int, as_of: dt.datetime
) -> int:
    return _count(
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
        {"segment": segment, "as_of": as_of, "run": run},
    )


def _count(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object]
) -> int:
    row = connection.execute(sql, parameters).fetchone()
    return int(row[0]) if row else 0
