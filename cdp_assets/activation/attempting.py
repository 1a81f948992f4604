"""One attempt at a batch: ask consent for each change, then call the destination.

Runs in the threads of a delivery. It reads the outbox and never writes it; what came
of the attempt goes back to the one thread that does.
"""

import datetime as dt
import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cdp_assets.activation.claims import Claim, Waiting
from cdp_assets.activation.deciding import Decider
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    Destination,
    Reply,
)
from cdp_assets.activation.pausing import paused
from cdp_assets.activation.receipting import Ending
from cdp_assets.activation.sendable import Sendable

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt at a claim."""

    claim: Claim
    started_at: dt.datetime
    withheld: tuple[Ending, ...]
    replies: tuple[tuple[Waiting, Reply, str | None], ...]

    @property
    def refusals(self) -> list[Reply]:
        """The answers that concern the destination and not one change."""
        return [reply for _, reply, _ in self.replies if reply.outcome == "unavailable"]


class Attempter:
    """Attempts claims from several threads, until the destination is unavailable."""

    def __init__(
        self,
        spec: Sendable,
        destination: Destination,
        reader: sqlite3.Connection,
        at: Callable[[], dt.datetime],
        now: Callable[[], dt.datetime],
        deadline: dt.datetime,
    ) -> None:
        """Prepare; ``at`` is the instant for consent, ``now`` the one of the clock."""
        self._spec = spec
        self._destination = destination
        self._reader = reader
        self._reading = threading.Lock()
        self._decider = Decider(spec, reader, at)
        self._now = now
        self._deadline = deadline
        self._unavailable = threading.Event()
        # In a row, as the threads see them: the breaker hears of them a moment later.
        self._failures = 0
        self._fields = tuple(
            reader.execute(
                "select field, data_type from target_field where activation = ? "
                "order by ordinal",
                [spec.name],
            ).fetchall()
        )

    def start(self) -> None:
        """Attempt again, whatever the destination said before."""
        self._failures = 0
        self._unavailable.clear()

    def attempt(self, claim: Claim) -> Attempt | None:
        """Try to deliver a claim; None if it was not begun.

        Whatever waits for its turn is looked at here and not earlier, so an opt-out
        that comes while a batch waits takes its person out of the batch.
        """
        started_at = self._now()
        if self._unavailable.is_set() or started_at >= self._deadline:
            return None
        with self._reading:
            if paused(self._reader, self._spec.name) is not None:
                return None
        withheld: list[Ending] = []
        allowed: dict[str, tuple[Waiting, str | None]] = {}
        changes: list[Change] = []
        for row in claim.rows:
            with self._reading:
                decision, payload = self._decider.decide(row)
            if decision.allowed:
                allowed[row.idempotency_key] = (row, decision.consent_record)
                changes.append(self._change(row, payload))
            else:
                withheld.append(
                    Ending(
                        row.sequence,
                        "withheld",
                        decision.reason,
                        decision.consent_record,
                    )
                )
        answers = self._send(claim.name, changes) if changes else {}
        return Attempt(
            claim,
            started_at,
            tuple(withheld),
            tuple(
                (row, answers.get(key) or Reply(key, "failed", "no answer"), consent)
                for key, (row, consent) in allowed.items()
            ),
        )

    def _send(self, name: str, changes: list[Change]) -> dict[str, Reply]:
        batch = Batch(name, self._spec.name, self._fields, tuple(changes))
        try:
            replies = self._destination.send(batch)
        except Exception as error:
            # Whatever a destination raises concerns this batch alone. Its text may
            # hold what was sent, so only the kind of error is told.
            kind = type(error).__name__
            _log.warning("%s: destination raised %s", self._spec.name, kind)
            replies = [
                Reply(change.idempotency_key, "failed", kind) for change in changes
            ]
        outcomes = {reply.outcome for reply in replies}
        self._failures = self._failures + 1 if outcomes == {"failed"} else 0
        if "unavailable" in outcomes or (
            self._failures >= self._destination.breaker_failures
        ):
            self._unavailable.set()
        return {reply.idempotency_key: reply for reply in replies}

    def _change(self, row: Waiting, payload: str) -> Change:
        return Change(
            row.sequence,
            row.idempotency_key,
            self._spec.name,
            row.unified_individual_id,
            row.operation,  # type: ignore[arg-type]
            payload,
            row.planned_at,
            row.previous_individual_id,
        )
