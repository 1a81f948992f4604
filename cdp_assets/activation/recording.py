"""What came of an attempt, written down: ends with receipts, retries, dead letters."""

import datetime as dt
import random
import sqlite3
from collections import Counter
from collections.abc import Callable

from cdp_assets.activation.attempting import Attempt
from cdp_assets.activation.destinations.protocol import Reply
from cdp_assets.activation.outbox import transaction
from cdp_assets.activation.receipting import Ending, finish, note_attempt, put_off
from cdp_assets.activation.retry import backoff
from cdp_assets.activation.spec import ActivationSpec


class Recorder:
    """Writes attempts into the outbox, from one thread, and counts what ended how."""

    def __init__(
        self,
        spec: ActivationSpec,
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

    def record(self, attempt: Attempt) -> None:
        """Write what came of an attempt, all of it or nothing."""
        with transaction(self._connection):
            for ending in attempt.withheld:
                self._finish(ending)
            failures = [row.failures for row, _, _ in attempt.replies]
            # One delay for all, so that a batch comes back as the batch it was.
            delay = backoff(self._spec.retry, max(failures, default=0) + 1, self._rng)
            for row, reply, consent in attempt.replies:
                if reply.reached:
                    note_attempt(
                        self._connection,
                        row.sequence,
                        attempt.started_at,
                        self._now(),
                        reply.outcome,
                        reply.reason,
                    )
                self._settle(row.sequence, row.failures, reply, consent, delay)

    def _settle(
        self,
        sequence: int,
        failures: int,
        reply: Reply,
        consent: str | None,
        delay: float,
    ) -> None:
        if reply.outcome == "delivered":
            self._finish(Ending(sequence, "delivered", reply.reason, consent))
        elif reply.outcome == "rejected":
            self._finish(Ending(sequence, "dead", f"refused: {reply.reason}", consent))
        elif reply.outcome == "unavailable":
            put_off(self._connection, sequence, self._now(), reply.reason, failed=False)
        elif failures + 1 >= self._spec.retry.max_attempts:
            reason = f"gave up after {failures + 1} failures: {reply.reason}"
            self._finish(Ending(sequence, "dead", reason, consent))
        else:
            self.counts["failed"] += 1
            until = self._now() + dt.timedelta(
                seconds=max(delay, reply.retry_after or 0.0)
            )
            put_off(self._connection, sequence, until, reply.reason, failed=True)

    def _finish(self, ending: Ending) -> None:
        finish(self._connection, ending, self._label, self._now())
        self.counts[ending.outcome] += 1
