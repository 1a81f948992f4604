"""Leaving a destination alone: it asked us to wait, or it could not be reached.

The pause outlives the run, so a Retry-After is kept by the next one too. Each further
refusal makes it longer; the first change that gets through ends it.
"""

import datetime as dt
import random
import sqlite3
from collections.abc import Sequence

from cdp_assets.activation.destinations.protocol import Reply
from cdp_assets.activation.outbox import as_instant, as_text
from cdp_assets.activation.retry import backoff
from cdp_assets.activation.spec import ActivationSpec


def paused_until(
    connection: sqlite3.Connection, activation: str
) -> tuple[dt.datetime, str] | None:
    """Until when the destination is left alone, and why; None where it is not."""
    row = connection.execute(
        "select until, reason from pause where activation = ?", [activation]
    ).fetchone()
    if row is None:
        return None
    until = as_instant(row[0])
    assert until is not None  # noqa: S101 - the column is not null
    return until, str(row[1])


def prolong(
    connection: sqlite3.Connection,
    spec: ActivationSpec,
    refusals: Sequence[Reply],
    now: dt.datetime,
    rng: random.Random,
) -> None:
    """Pause the destination for as long as it asked, or as its failures suggest."""
    row = connection.execute(
        "select failures from pause where activation = ?", [spec.name]
    ).fetchone()
    failures = (row[0] if row else 0) + 1
    seconds = max(
        [backoff(spec.retry, failures, rng)]
        + [reply.retry_after or 0.0 for reply in refusals]
    )
    connection.execute(
        "insert or replace into pause values (?, ?, ?, ?)",
        [
            spec.name,
            as_text(now + dt.timedelta(seconds=seconds)),
            failures,
            refusals[0].reason or "unavailable",
        ],
    )


def resume(connection: sqlite3.Connection, activation: str) -> None:
    """End the pause."""
    connection.execute("delete from pause where activation = ?", [activation])
