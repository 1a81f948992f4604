"""Delivery: what waits in the outbox goes to its destination, once each.

The warehouse is not touched. A change is claimed, consent is asked, the destination is
called and its answer is recorded, in this order; a process killed anywhere in between
leaves a claimed change, which the next run sends again under the same key. So nothing
is lost, and a destination that honours the key acts once. Consent is looked at right
before the call, change by change, and again before every repetition.
"""

import datetime as dt
import random
import time
from collections.abc import Callable, Mapping
from functools import partial

from cdp_assets.activation.attempting import Attempter
from cdp_assets.activation.destinations.opening import open_destination
from cdp_assets.activation.destinations.protocol import (
    Destination,
    NotConfiguredError,
)
from cdp_assets.activation.dispatch import DeliveryResult, Dispatch
from cdp_assets.activation.outbox import Outbox, states
from cdp_assets.activation.sendable import Sendable
from cdp_assets.activation.sending import Senders
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now


def deliver_activation(
    outbox: Outbox,
    spec: Sendable,
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
    spec: Sendable,
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
        ):
            deadline = now() + dt.timedelta(seconds=budget_seconds)
            ask = now if at is None else partial(_same, at)
            attempter = Attempter(spec, destination, reader, ask, now, deadline)
            dispatch = Dispatch(
                spec,
                destination,
                connection,
                now,
                rng or random.Random(),  # noqa: S311
            )
            with Senders(destination.concurrency, attempter.attempt) as senders:
                return dispatch.run(attempter, senders, deadline, sleep)


def _same(instant: dt.datetime) -> dt.datetime:
    return instant
