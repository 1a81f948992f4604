"""Receipts back into the platform: each lands once, as the stream system_receipt.

The range of receipts that a file holds is fixed in the outbox before the file is
written. A process killed in between writes the same bytes again, and the load knows
them by their hash. Receipts name ids and rows of consent, and hold no personal data.
"""

import datetime as dt
import json
import sqlite3
from dataclasses import dataclass

from cdp_assets.activation.outbox import Outbox, as_text, transaction
from cdp_assets.paths import Paths
from cdp_assets.streams.landing import land

STREAM = "system_receipt"
# About 50 MB as NDJSON.
_RECEIPTS_PER_FILE = 100_000


@dataclass(frozen=True)
class Acknowledged:
    """How many receipts were landed, in how many files."""

    receipts: int
    files: int


def acknowledge(outbox: Outbox, paths: Paths, now: dt.datetime) -> Acknowledged:
    """Land every receipt that was not landed yet.

    Args:
        outbox: Where the receipts are.
        paths: The runtime folder with the landing zone.
        now: The instant noted as theirs of landing (UTC).
    """
    receipts = files = 0
    with outbox.connect() as connection:
        while (span := _open_range(connection)) is not None:
            first, last = span
            rows = _content(connection, first, last)
            land(paths, STREAM, f"receipts-{first:012d}-{last:012d}.ndjson", rows)
            with transaction(connection):
                connection.execute(
                    "update landing set landed_at = ? where first_position = ?",
                    [as_text(now), first],
                )
            receipts += last - first + 1
            files += 1
    return Acknowledged(receipts, files)


def _open_range(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """The range to land next: the one begun, or a new one; None when all is landed."""
    with transaction(connection):
        begun = connection.execute(
            "select first_position, last_position from landing where landed_at is null"
        ).fetchone()
        if begun is not None:
            return int(begun[0]), int(begun[1])
        (landed,) = connection.execute(
            "select coalesce(max(last_position), 0) from landing"
        ).fetchone()
        (last,) = connection.execute(
            "select coalesce(max(position), 0) from receipt"
        ).fetchone()
        if last <= landed:
            return None
        last = min(last, landed + _RECEIPTS_PER_FILE)
        connection.execute(
            "insert into landing values (?, ?, null)", [landed + 1, last]
        )
    return landed + 1, last


def _content(connection: sqlite3.Connection, first: int, last: int) -> bytes:
    rows = connection.execute(
        """
        select r.receipt_id, o.sequence, o.idempotency_key, o.activation,
            r.destination, o.segment, o.unified_individual_id, o.operation, r.outcome,
            r.reason, r.consent_record, r.attempts, r.attempted_at || 'Z'
        from receipt as r join outbox as o using (sequence)
        where r.position between ? and ? order by r.position
        """,
        [first, last],
    )
    names = [
        "receipt_id",
        "sequence",
        "idempotency_key",
        "activation",
        "destination",
        "segment",
        "unified_individual_id",
        "operation",
        "outcome",
        "reason",
        "consent_record",
        "attempts",
        "attempted_at",
    ]
    return b"".join(
        json.dumps(dict(zip(names, row, strict=True))).encode() + b"\n" for row in rows
    )
