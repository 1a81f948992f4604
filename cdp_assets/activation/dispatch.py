"""One delivery of one activation: claim what is due, have it sent, record the answers.

Everything that is written is written by the one thread that runs this; the threads of
``sending`` only read and call. What is under way at any moment is bounded, and so is
what a killed process leaves to repeat.
"""

import datetime as dt
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cdp_assets.activation.attempting import Attempt, Attempter
from cdp_assets.activation.breaker import Breaker, close, load, save
from cdp_assets.activation.claims import Claim, claim, next_due, recover, release
from cdp_assets.activation.destinations.protocol import Destination
from cdp_assets.activation.destinations.template import known_by, matched_by
from cdp_assets.activation.identifiers import register
from cdp_assets.activation.outbox import as_instant, states, transaction
from cdp_assets.activation.pacing import Pace
from cdp_assets.activation.pausing import paused
from cdp_assets.activation.recording import Recorder
from cdp_assets.activation.sendable import Sendable
from cdp_assets.activation.sending import Answer, Senders
from cdp_assets.activation.superseding import supersede

# Batches under way per thread: enough to keep threads busy between commits, few enough
# that a killed process leaves little to repeat.
CLAIMS_PER_THREAD = 25
BATCHES_PER_THREAD = 2
_LOOK_AGAIN_SECONDS = 0.2
# So many times as long as a look at all that waits took, none is taken; at most so many
# seconds, since a look may have waited for another process to write.
_SHARE_OF_LOOKING = 10
_LONGEST_SECONDS = 5.0
_NEVER = dt.datetime(9999, 1, 1)  # noqa: DTZ001 - instants are naive UTC here


@dataclass(frozen=True)
class DeliveryResult:
    """What a delivery did, and what it left for the next.

    ``status``: ``done``, ``waiting`` (what is left is due later, or the destination is
    paused), ``out of time``, ``busy`` (another process delivers) or ``not configured``.
    """

    activation: str
    status: str
    reason: str | None = None
    delivered: int = 0
    withheld: int = 0
    dead: int = 0
    failed_attempts: int = 0
    pending: int = 0


class Dispatch:
    """The one thread that claims and records."""

    def __init__(
        self,
        spec: Sendable,
        destination: Destination,
        connection: sqlite3.Connection,
        now: Callable[[], dt.datetime],
        rng: random.Random,
    ) -> None:
        """Prepare; ``now`` is the clock (UTC), ``rng`` draws the jitter."""
        self._spec = spec
        self._destination = destination
        self._connection = connection
        self._now = now
        self._rng = rng
        self._recorder = Recorder(spec, destination.label, connection, now, rng)
        self._breaker = load(connection, spec.name)
        self._pace = Pace(destination.interval)
        self._look_again = 0.0
        # From where on is claimed, and when to look at everything again.
        self._after = 0
        self._begin_again = 0.0

    def run(
        self,
        attempter: Attempter,
        senders: Senders,
        deadline: dt.datetime,
        sleep: Callable[[float], None],
    ) -> DeliveryResult:
        """Go on until nothing is left, or nothing more is due before ``deadline``."""
        name, connection = self._spec.name, self._connection
        with transaction(connection):
            register(connection, name, known_by(self._spec.destination))
        recover(connection, name, self._now())
        self._recorder.counts["withheld"] += supersede(
            connection,
            name,
            self._destination.label,
            self._now(),
            matched_by(self._spec.destination),
        )
        while True:
            now = self._now()
            if now < deadline:
                self._submit(attempter, senders, now)
            if senders.in_flight:
                wait = self._pace.wait(now) or _LOOK_AGAIN_SECONDS
                self._record(senders.collect(wait), attempter)
                continue
            due, reason = self._due(now)
            if due is None:
                return self._result("done", None)
            if due > now:
                if due >= deadline:
                    return self._result("waiting", reason)
                sleep((due - now).total_seconds())
            elif now >= deadline:
                return self._result("out of time", None)

    def _due(self, now: dt.datetime) -> tuple[dt.datetime | None, str | None]:
        """When to go on, and what we are waiting for; None when nothing is left."""
        text = next_due(self._connection, self._spec.name)
        if text is None:
            return None, None
        if (stopped := paused(self._connection, self._spec.name)) is not None:
            return _NEVER, stopped
        # A change that was never tried has no instant: it is due at once.
        due = as_instant(text or None) or now
        reason = "retries are due later" if due > now else None
        until = self._breaker.open_until
        if until is not None and until > due:
            return until, f"the destination is left alone: {self._breaker.reason}"
        free = now + dt.timedelta(seconds=self._pace.wait(now))
        return (free, "its rate allows no more now") if free > due else (due, reason)

    def _submit(self, attempter: Attempter, senders: Senders, now: dt.datetime) -> None:
        """Claim as much as there is room for, and hand it to the threads."""
        room = self._room(senders.in_flight, now)
        if room <= 0 or (senders.in_flight and time.monotonic() < self._look_again):
            return
        if paused(self._connection, self._spec.name) is not None:
            return
        if not senders.in_flight:
            # Every answer is taken account of: what stopped the threads is over.
            attempter.start()
        claims = self._claim(room, now)
        if not claims:
            # What is under way may free somebody's next change; until then a look at
            # all that waits would find the same again.
            self._look_again = time.monotonic() + _LOOK_AGAIN_SECONDS
        for one in claims:
            senders.submit(one)
            self._pace.take(now)

    def _claim(self, room: int, now: dt.datetime) -> list[Claim]:
        """Claim behind what was claimed last, and now and then from the beginning.

        Where thousands wait for one change to end, to look at all of them takes .3 s
        for 50,000, and would come before every claim of those who need not wait.
        """
        begun = time.monotonic()
        if begun >= self._begin_again:
            self._after = 0
        from_first = self._after == 0
        limit = self._destination.batch
        claims = claim(self._connection, self._spec.name, limit, room, now, self._after)
        if from_first:
            ended = time.monotonic()
            pause = min(_SHARE_OF_LOOKING * (ended - begun), _LONGEST_SECONDS)
            self._begin_again = ended + pause
        elif not claims:
            self._begin_again = 0.0
            return self._claim(room, now)
        fresh = [one.rows[-1].sequence for one in claims if not one.is_repeated]
        self._after = max(fresh, default=self._after)
        return claims

    def _room(self, in_flight: int, now: dt.datetime) -> int:
        """How many batches may be claimed now."""
        state = self._breaker.state(now)
        if state == "open" or self._pace.wait(now):
            return 0
        if state == "half-open":
            return int(in_flight == 0)
        threads = self._destination.concurrency
        if self._pace.is_limited:
            return int(in_flight < threads)
        singly = self._destination.batch.rows == 1
        most = threads * (CLAIMS_PER_THREAD if singly else BATCHES_PER_THREAD)
        return most - in_flight if in_flight <= most // 2 else 0

    def _record(self, answers: Sequence[Answer], attempter: Attempter) -> None:
        """Write down what came back, and what it says about the destination."""
        attempts = [attempt for _, attempt in answers if attempt is not None]
        with transaction(self._connection):
            for one, attempt in answers:
                if attempt is None:
                    release(self._connection, one)
            if attempts:
                self._recorder.record(attempts)
                self._heed(attempts)

    def _heed(self, attempts: Sequence[Attempt]) -> None:
        before = replace(self._breaker)
        self._breaker.heed(
            attempts,
            self._spec,
            self._destination.breaker_failures,
            self._now(),
            self._rng,
        )
        if self._breaker == Breaker():
            if before != self._breaker:
                close(self._connection, self._spec.name)
        elif before != self._breaker:
            save(self._connection, self._spec.name, self._breaker)

    def _result(self, status: str, reason: str | None) -> DeliveryResult:
        waiting = states(self._connection, self._spec.name)
        return DeliveryResult(
            self._spec.name,
            status,
            reason,
            delivered=self._recorder.counts["delivered"],
            withheld=self._recorder.counts["withheld"],
            dead=self._recorder.counts["dead"],
            failed_attempts=self._recorder.counts["failed"],
            pending=waiting.get("pending", 0),
        )
