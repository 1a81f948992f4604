"""How a change ends: its state, its receipt, and the attempts that led there.

A receipt and the state it reports are written in one transaction. Every end has one:
delivered, withheld, or dead; a dead letter that is replayed gets another when it ends.
"""

import datetime as dt
import sqlite3
from typing import Literal, NamedTuple

from cdp_assets.activation.outbox import as_text

Outcome = Literal["delivered", "withheld", "dead"]


class Ending(NamedTuple):
    """How one change ended, and the consent row that allowed or forbade it."""

    sequence: int
    outcome: Outcome
    reason: str | None = None
    consent_record: str | None = None


def finish(
    connection: sqlite3.Connection,
    ending: Ending,
    destination: str,
    now: dt.datetime,
) -> None:
    """Write the end of a change and its receipt; the caller holds the transaction."""
    at = as_text(now)
    connection.execute(
        """
        update outbox
        set state = ?, reason = ?, consent_record = ?, finished_at = ?
        where sequence = ?
        """,
        [
            ending.outcome,
            ending.reason,
            ending.consent_record,
            at,
            ending.sequence,
        ],
    )
    connection.execute(
        """
        insert into receipt (
            receipt_id, sequence, destination, outcome, reason, consent_record,
            attempts, attempted_at
        )
        select o.idempotency_key || '-' || (
                select count(*) + 1 from receipt as r where r.sequence = o.sequence
            ),
            o.sequence, ?, ?, ?, ?, o.attempts, ?
        from outbox as o where o.sequence = ?
        """,
        [
            destination,
            ending.outcome,
            ending.reason,
            ending.consent_record,
            at,
            ending.sequence,
        ],
    )


def note_attempt(
    connection: sqlite3.Connection,
    sequence: int,
    started_at: dt.datetime,
    finished_at: dt.datetime,
    outcome: str,
    reason: str | None,
) -> None:
    """Count an attempt that may have reached the destination."""
    connection.execute(
        """
        insert into attempt
        select sequence, attempts + 1, ?, ?, ?, ? from outbox where sequence = ?
        """,
        [as_text(started_at), as_text(finished_at), outcome, reason, sequence],
    )
    connection.execute(
        "update outbox set attempts = attempts + 1 where sequence = ?", [sequence]
    )


def put_off(
    connection: sqlite3.Connection,
    sequence: int,
    until: dt.datetime,
    reason: str | None,
    *,
    failed: bool,
) -> None:
    """Let a change wait until ``until``; ``failed`` counts towards the dead letter."""
    connection.execute(
        """
        update outbox
        set state = 'pending', next_attempt_at = ?, reason = ?, failures = failures + ?
        where sequence = ?
        """,
        [as_text(until), reason, int(failed), sequence],
    )
