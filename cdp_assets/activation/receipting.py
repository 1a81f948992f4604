"""How a change ends: its state, its receipt, and the attempts that led there.

A receipt and the state it reports are written in one transaction. Every end has one:
delivered, withheld, or dead; a dead letter that is replayed gets another when it ends.
"""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple

from cdp_assets.activation.identifiers import end_waiting
from cdp_assets.activation.outbox import as_text

Outcome = Literal["delivered", "withheld", "dead"]


class Ending(NamedTuple):
    """How one change ended, and the consent row that allowed or forbade it."""

    sequence: int
    outcome: Outcome
    reason: str | None = None
    consent_record: str | None = None
    # Whether the last attempt may have reached the destination, and so counts.
    reached: bool = False


class Noted(NamedTuple):
    """An attempt that may have reached the destination."""

    sequence: int
    number: int
    started_at: str
    finished_at: str
    outcome: str
    reason: str | None


class PutOff(NamedTuple):
    """A change that waits for another attempt; ``failed``: one nearer to giving up."""

    sequence: int
    until: str
    reason: str | None
    reached: bool
    failed: bool
    batch: str | None
    """The batch it is sent in again."""


def finish(
    connection: sqlite3.Connection,
    endings: Sequence[Ending],
    destination: str,
    now: dt.datetime,
) -> None:
    """Write the ends of changes and their receipts; the caller holds the transaction.

    Whole lists at once: a statement costs more to begin than to repeat.
    """
    at = as_text(now)
    connection.executemany(
        """
        update outbox
        set state = ?, reason = ?, consent_record = ?, finished_at = ?,
            attempts = attempts + ?
        where sequence = ?
        """,
        [
            (one.outcome, one.reason, one.consent_record, at, one.reached, one.sequence)
            for one in endings
        ],
    )
    connection.executemany(
        """
        insert into receipt (
            receipt_id, sequence, destination, outcome, reason, consent_record,
            attempts, attempted_at
        )
        select idempotency_key || '-' || (
                select count(*) + 1 from receipt where receipt.sequence = o.sequence
            ),
            sequence, ?, state, reason, consent_record, attempts, finished_at
        from outbox as o where sequence = ?
        """,
        [(destination, one.sequence) for one in endings],
    )
    end_waiting(connection, [one.sequence for one in endings])


def note(connection: sqlite3.Connection, attempts: Sequence[Noted]) -> None:
    """Keep attempts; the caller holds the transaction, and counts them."""
    connection.executemany("insert into attempt values (?, ?, ?, ?, ?, ?)", attempts)


def put_off(connection: sqlite3.Connection, waits: Sequence[PutOff]) -> None:
    """Let changes wait; the caller holds the transaction."""
    connection.executemany(
        """
        update outbox
        set state = 'pending', next_attempt_at = ?, reason = ?,
            attempts = attempts + ?, failures = failures + ?, batch = ?
        where sequence = ?
        """,
        [
            (one.until, one.reason, one.reached, one.failed, one.batch, one.sequence)
            for one in waits
        ],
    )
