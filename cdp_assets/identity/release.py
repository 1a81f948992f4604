"""Publishing a held run in spite of named gates: said by a person, for once.

A release names the gates of one held run and the values they had. The next run takes up
the same changes, and is let through where it finds no worse than what was released.
"""

import dataclasses
import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.verdict import Verdict

# Which of two contradicting decisions is meant nobody but their authors can say.
_NEVER = "contradicting_decisions"


class ReleaseError(OperatorError, ValueError):
    """There is nothing to release; the message says why."""


@dataclass(frozen=True)
class Released:
    """One gate that the next run may fail."""

    run: int
    object: str
    gate: str
    most: float
    found: float


def note_held(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    run: int,
    verdicts: list[Verdict],
) -> None:
    """Remember what a held run's gates found, so that it can be released."""
    connection.execute(
        "delete from identity.held_gate where run = ? and object = ?",
        [run, object_name],
    )
    for verdict in verdicts:
        connection.execute(
            """
            insert into identity.held_gate (run, object, gate, most, found)
            values (?, ?, ?, ?, ?)
            """,
            [run, object_name, verdict.gate, verdict.limit, verdict.value],
        )


def let_through(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    verdicts: list[Verdict],
) -> list[Verdict]:
    """Mark the failing verdicts that were released and are no worse than then."""
    released = dict(
        connection.execute(
            """
            select gate, max(found) from identity.held_gate
            where object = ? and released_at is not null and used_run is null
            group by gate
            """,
            [object_name],
        ).fetchall()
    )
    return [
        dataclasses.replace(verdict, released=True)
        if not verdict.passed and verdict.value <= released.get(verdict.gate, -1)
        else verdict
        for verdict in verdicts
    ]


def use_up(connection: duckdb.DuckDBPyConnection, object_name: str, run: int) -> None:
    """End the releases of an object: something was published; holds the transaction."""
    connection.execute(
        """
        update identity.held_gate set used_run = ?
        where object = ? and released_at is not null and used_run is null
        """,
        [run, object_name],
    )


def release(
    connection: duckdb.DuckDBPyConnection,
    *,
    run: int | None,
    by: str,
    at: dt.datetime,
    why: str,
) -> list[Released]:
    """Let the next run publish what a held one was refused.

    Args:
        connection: The warehouse, open for writing.
        run: The held run; default the last one, which it must be.
        by: Who says so.
        at: When (UTC).
        why: The reason.

    Raises:
        ReleaseError: The last run is not held, or is another, or holds for decisions
            that contradict each other.
    """
    (last, held) = connection.execute(
        """
        select max(run), max(run) filter (where status = 'held') from identity.run
        """
    ).fetchall()[0]
    if held is None or held != last:
        raise ReleaseError(
            "nothing is held: "
            + (f"run {last} was published" if last else "no run yet")
        )
    if run not in (None, held):
        raise ReleaseError(f"run {run} is not what is held now: run {held} is")
    rows = connection.execute(
        """
        update identity.held_gate set released_by = $by, released_at = $at,
            released_reason = $why
        where run = $run and gate <> $never
        returning run, object, gate, most, found
        """,
        {"by": by, "at": at, "why": why, "run": held, "never": _NEVER},
    ).fetchall()
    if not rows:
        raise ReleaseError(
            f"run {held} is held because decisions contradict each other: undo one "
            "(`cdp identity decisions` lists them)"
        )
    return [Released(*row) for row in sorted(rows)]
