"""When a segment is evaluated: with every run, or with the first run of its period.

Periods are counted from one Monday, so that ``every 1 week`` begins on Mondays and
``every 1 day`` at midnight (UTC), whenever the runs come. A definition that changed is
evaluated at once.
"""

import datetime as dt
import hashlib

import duckdb

from cdp_assets.segments.spec import SegmentSpec

_MONDAY = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - the warehouse's instants are UTC


def last_run(connection: duckdb.DuckDBPyConnection, segment: str) -> int | None:
    """The run that evaluated the segment last; None if none did."""
    row = connection.execute(
        "select run from segments.evaluation where segment = ?", [segment]
    ).fetchone()
    return None if row is None else int(row[0])


def is_due(
    connection: duckdb.DuckDBPyConnection, spec: SegmentSpec, as_of: dt.datetime
) -> bool:
    """Whether a run at ``as_of`` (UTC) evaluates the segment."""
    row = connection.execute(
        "select as_of, definition from segments.evaluation where segment = ?",
        [spec.name],
    ).fetchone()
    if row is None or spec.period is None or row[1] != definition(spec):
        return True
    return in_new_period(spec.period, row[0], as_of)


def in_new_period(period: dt.timedelta, before: dt.datetime, now: dt.datetime) -> bool:
    """Whether ``now`` lies in another period than ``before`` (UTC)."""
    return (now - _MONDAY) // period != (before - _MONDAY) // period


def note(
    connection: duckdb.DuckDBPyConnection,
    spec: SegmentSpec,
    run: int,
    as_of: dt.datetime,
) -> None:
    """Keep that ``run`` evaluated the segment, and where it has a period, who is in.

    Without a period every run evaluates, and the open rows are those of the last one.
    """
    for table in ("evaluation", "evaluated_stay"):
        connection.execute(
            f"delete from segments.{table} where segment = ?", [spec.name]
        )
    connection.execute(
        "insert into segments.evaluation values (?, ?, ?, ?)",
        [spec.name, run, as_of, definition(spec)],
    )
    if spec.period is not None:
        connection.execute(
            """
            insert into segments.evaluated_stay
            select segment, unified_individual_id, entered_at, entered_run
            from segments.membership where segment = ? and left_at is null
            """,
            [spec.name],
        )


def definition(spec: SegmentSpec) -> str:
    """A digest of what decides who is in, and when; a new description is no new one."""
    text = spec.model_dump_json(
        include={"condition", "engagement", "limit", "evaluate"}
    )
    return hashlib.sha256(text.encode()).hexdigest()
