"""One number and one instant for everything that happens in a run.

Stages of the same Dagster run must agree on what "now" is, and on the run that rows
name as their cause. The first stage to ask fixes both in ``ops.run``.
"""

import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now


class ClockError(OperatorError, ValueError):
    """The pinned clock holds no instant; the message says how to mend it."""


@dataclass(frozen=True)
class Run:
    """A run of the pipeline, and the instant that it takes as now (UTC)."""

    number: int
    as_of: dt.datetime


def pinned_as_of(paths: Paths) -> dt.datetime | None:
    """The instant the clock is pinned to, or None where it is live.

    Raises:
        ClockError: The file holds something else than an ISO instant.
    """
    if not paths.pinned_as_of.exists():
        return None
    text = paths.pinned_as_of.read_text(encoding="utf-8").strip()
    try:
        return parse_instant(text)
    except ValueError:
        raise ClockError(
            f"{paths.pinned_as_of.name}: {text!r} is not an instant; write one like "
            "2026-11-01T00:00:00, or `cdp clock live` to use the time of day"
        ) from None


def pin_as_of(paths: Paths, instant: dt.datetime | None) -> None:
    """Pin the clock to ``instant``, or let it run when there is none."""
    if instant is None:
        paths.pinned_as_of.unlink(missing_ok=True)
        return
    paths.root.mkdir(parents=True, exist_ok=True)
    paths.pinned_as_of.write_text(instant.isoformat() + "\n", encoding="utf-8")


def parse_instant(text: str) -> dt.datetime:
    """Read an ISO instant as naive UTC; one without a zone is UTC already."""
    instant = dt.datetime.fromisoformat(text)
    if instant.tzinfo is not None:
        instant = instant.astimezone(dt.UTC).replace(tzinfo=None)
    return instant


def join_run(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    dagster_run_id: str,
    as_of: dt.datetime | None = None,
) -> Run:
    """The run of this Dagster run: found, or begun if no stage asked before.

    Args:
        connection: The warehouse, open for writing.
        paths: Where the pinned clock is.
        dagster_run_id: What the stages of one run have in common.
        as_of: Overrides the pinned clock, for a run that an operator back-dates.
    """
    found = connection.execute(
        "select run, as_of from ops.run where dagster_run_id = ?", [dagster_run_id]
    ).fetchone()
    if found is not None:
        return Run(*found)
    started_at = utc_now()
    instant = as_of or pinned_as_of(paths) or started_at
    row = connection.execute(
        """
        insert into ops.run
        select coalesce(max(run), 0) + 1, ?, ?, ? from ops.run
        returning run, as_of
        """,
        [dagster_run_id, started_at, instant],
    ).fetchone()
    assert row is not None  # noqa: S101 - insert … returning yields one row
    return Run(*row)
