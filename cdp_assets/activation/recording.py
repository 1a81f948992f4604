"""What came of attempts, written down: ends with receipts, retries, dead letters."""

import datetime as dt
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence

from cdp_assets.activation.attempting import Attempt
from cdp_assets.activation.claims import Waiting, batch_name
from cdp_assets.activation.destinations.protocol import Reply
from cdp_assets.activation.outbox import as_text
from cdp_assets.activation.receipting import (
    Ending,
    Noted,
    PutOff,
    finish,
    note,
    put_off,
)
from cdp_assets.activation.retry import backoff
from cdp_assets.activation.sendable import Sendable


class Recorder:
    """Writes attempts into the outbox, from one thread, and counts what ended how."""

    def __init__(
        self,
        spec: Sendable,
        label: str,
        connection: sqlite3.Connection,
        now: Callable[[], dt.datetime],
        rng: random.Random,
    ) -> None:
        """Prepare; ``label`` names the destination in receipts."""
        self.counts: Counter[str] = Counter()
        self._spec = spec
        self._label = label
        self._connection = connection
        self._now = now
        self._rng = rng

    def record(self, attempts: Sequence[Attempt]) -> None:
        """Write what came of attempts; the caller holds the transaction."""
        now = self._now()
        noted: list[Noted] = []
        endings: list[Ending] = []
        waits: list[PutOff] = []
        for attempt in attempts:
            endings += attempt.withheld
            started, finished = as_text(attempt.started_at), as_text(now)
            halves = _halves(attempt)
            failures = [row.failures for row, _, _ in attempt.replies]
            # One delay for all, so that a batch comes back as the batch it was.
            delay = backoff(self._spec.retry, max(failures, default=0) + 1, self._rng)
            name = attempt.claim.name if len(attempt.claim.rows) > 1 else None
            for row, reply, consent in attempt.replies:
                if reply.reached:
                    number = row.attempts + 1
                    noted.append(
                        Noted(row.sequence, number, started, finished, *_said(reply))
                    )
                batch = halves.get(row.sequence, name)
                settled = self._settle(row, reply, consent, delay, batch, now)
                if isinstance(settled, Ending):
                    endings.append(settled)
                else:
                    waits.append(settled)
        note(self._connection, noted)
        finish(self._connection, endings, self._label, now)
        put_off(self._connection, waits)
        self.counts.update(ending.outcome for ending in endings)
        self.counts["failed"] += sum(wait.failed for wait in waits)

    def _settle(
        self,
        row: Waiting,
        reply: Reply,
        consent: str | None,
        delay: float,
        batch: str | None,
        now: dt.datetime,
    ) -> Ending | PutOff:
        """The end that an answer means for a change, or until when it waits."""
        sequence, reached = row.sequence, reply.reached
        if reply.outcome == "delivered":
            return Ending(sequence, "delivered", reply.reason, consent, reached)
        if reply.outcome == "rejected":
            reason = f"refused: {reply.reason}"
            return Ending(sequence, "dead", reason, consent, reached)
        if reply.outcome in ("unavailable", "split"):
            return PutOff(sequence, as_text(now), reply.reason, reached, False, batch)
        if row.failures + 1 >= self._spec.retry.max_attempts:
            reason = f"gave up after {row.failures + 1} failures: {reply.reason}"
            return Ending(sequence, "dead", reason, consent, reached)
        wait = dt.timedelta(seconds=max(delay, reply.retry_after or 0.0))
        return PutOff(sequence, as_text(now + wait), reply.reason, reached, True, batch)


def _said(reply: Reply) -> tuple[str, str | None]:
    return reply.outcome, reply.reason


def _halves(attempt: Attempt) -> dict[int, str]:
    """Per change of a batch that was refused as a whole, the half it goes out in."""
    rows = [row for row, reply, _ in attempt.replies if reply.outcome == "split"]
    middle = len(rows) // 2
    return {
        row.sequence: batch_name(half)
        for half in (rows[:middle], rows[middle:])
        for row in half
    }
