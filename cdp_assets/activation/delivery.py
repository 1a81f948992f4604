"""Delivery: what waits in the outbox goes to its destination, once each.

The warehouse is not touched. A change is claimed, consent is asked, the destination is
called and its answer is recorded, in this order; a process killed anywhere in between
leaves a claimed change, which the next run sends again under the same key. So nothing
is lost, and a destination that honours the key acts once. Consent is looked at right
before the call, change by change, and again before every repetition.
"""

import datetime as dt
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial

from cdp_assets.activation.attempting import Attempter
from cdp_assets.activation.claims import claim, next_due, recover, release, supersede
from cdp_assets.activation.destinations.opening import open_destination
from cdp_assets.activation.destinations.protocol import (
    Destination,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.outbox import Outbox, as_instant, states, transaction
from cdp_assets.activation.pausing import paused_until, prolong, resume
from cdp_assets.activation.recording import Recorder
from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now

# Batches claimed at once per thread: enough to keep threads busy between commits, few
# enough that a killed process leaves little to repeat.
_CLAIMS_PER_THREAD = 25


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


def deliver_activation(
    outbox: Outbox,
    spec: ActivationSpec,
    paths: Paths,
    *,
    environ: Mapping[str, str] | None = None,
    at: dt.datetime | None = None,
    budget_seconds: float = 60,
) -> DeliveryResult:
    """Open the activation's destination and deliver; without settings nothing is lost.

    Args:
        outbox: Where the changes wait.
        spec: The activation.
        paths: The runtime folder.
        environ: Settings; default: the process's environment.
        at: The instant consent is asked for; default: the moment of each sending.
        budget_seconds: How long to go on, waiting for retries included.
    """
    try:
        destination = open_destination(spec, paths, environ)
    except NotConfiguredError as error:
        with outbox.connect() as connection:
            pending = states(connection, spec.name).get("pending", 0)
        return DeliveryResult(spec.name, "not configured", str(error), pending=pending)
    try:
        return deliver(outbox, spec, destination, at=at, budget_seconds=budget_seconds)
    finally:
        destination.close()


def deliver(
    outbox: Outbox,
    spec: ActivationSpec,
    destination: Destination,
    *,
    at: dt.datetime | None = None,
    now: Callable[[], dt.datetime] = utc_now,
    budget_seconds: float = 60,
    rng: random.Random | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> DeliveryResult:
    """Deliver what is due, and wait for retries as long as the budget lasts.

    A call in flight when the budget ends is waited for: at most its own time-out.

    Args:
        outbox: Where the changes wait.
        spec: The activation.
        destination: Where they go.
        at: The instant consent is asked for; default: the moment of each sending.
        now: The clock for retries and receipts (UTC).
        budget_seconds: How long to go on.
        rng: Draws the jitter.
        sleep: Waits.
    """
    with outbox.sole_deliverer(spec.name) as alone:
        if not alone:
            return DeliveryResult(spec.name, "busy", "another process delivers it")
        with (
            outbox.connect() as connection,
            outbox.connect(threads=True) as reader,
            ThreadPoolExecutor(destination.concurrency) as pool,
        ):
            deadline = now() + dt.timedelta(seconds=budget_seconds)
            ask = now if at is None else partial(_same, at)
            attempter = Attempter(spec, destination, reader, ask, now, deadline)
            delivery = _Delivery(
                spec,
                destination,
                connection,
                now,
                rng or random.Random(),  # noqa: S311
            )
            return delivery.run(attempter, pool, deadline, sleep)


class _Delivery:
    """The one thread that claims and records."""

    def __init__(
        self,
        spec: ActivationSpec,
        destination: Destination,
        connection: sqlite3.Connection,
        now: Callable[[], dt.datetime],
        rng: random.Random,
    ) -> None:
        self._spec = spec
        self._destination = destination
        self._connection = connection
        self._now = now
        self._rng = rng
        self._recorder = Recorder(spec, destination.label, connection, now, rng)

    def run(
        self,
        attempter: Attempter,
        pool: ThreadPoolExecutor,
        deadline: dt.datetime,
        sleep: Callable[[float], None],
    ) -> DeliveryResult:
        name, connection = self._spec.name, self._connection
        recover(connection, name, self._now())
        self._recorder.counts["withheld"] += supersede(
            connection, name, self._destination.label, self._now()
        )
        while True:
            due, reason = self._due()
            if due is None:
                return self._result("done", None)
            now = self._now()
            if due > now:
                if due >= deadline:
                    return self._result("waiting", reason)
                sleep((due - now).total_seconds())
            elif now >= deadline:
                return self._result("out of time", None)
            else:
                self._round(attempter, pool)

    def _due(self) -> tuple[dt.datetime | None, str | None]:
        """When to go on, and what we are waiting for; None when nothing is left."""
        text = next_due(self._connection, self._spec.name)
        if text is None:
            return None, None
        # A change that was never tried has no instant: it is due at once.
        now = self._now()
        due = as_instant(text or None) or now
        reason = "retries are due later" if due > now else None
        pause = paused_until(self._connection, self._spec.name)
        if pause is not None and pause[0] > due:
            return pause[0], f"the destination is left alone: {pause[1]}"
        return due, reason

    def _round(self, attempter: Attempter, pool: ThreadPoolExecutor) -> None:
        """Claim, attempt in parallel, and record each answer as it comes."""
        size = self._destination.batch_size
        limit = size
        if size == 1:
            limit = self._destination.concurrency * _CLAIMS_PER_THREAD
        claims = claim(self._connection, self._spec.name, size, limit, self._now())
        attempter.start()
        futures = {pool.submit(attempter.attempt, one): one for one in claims}
        refusals: list[Reply] = []
        delivered = self._recorder.counts["delivered"]
        for future in as_completed(futures):
            attempt = future.result()
            if attempt is None:
                release(self._connection, futures[future])
            else:
                self._recorder.record(attempt)
                refusals += attempt.refusals
        with transaction(self._connection):
            if self._recorder.counts["delivered"] > delivered:
                resume(self._connection, self._spec.name)
            if refusals:
                prolong(self._connection, self._spec, refusals, self._now(), self._rng)

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


def _same(instant: dt.datetime) -> dt.datetime:
    return instant
