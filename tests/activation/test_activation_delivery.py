"""Delivery: once each, in order per person, with consent asked at the last moment."""

import datetime as dt
import json
import logging
import random
import stat
from typing import Any

import pytest

from cdp_assets.activation.breaker import Breaker, load
from cdp_assets.activation.dead_letters import drop, list_changes, replay
from cdp_assets.activation.delivery import (
    DeliveryResult,
    deliver,
    deliver_activation,
)
from cdp_assets.activation.destination_spec import BatchLimit
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.receiver import Faults, Receiver
from cdp_assets.activation.showing import NoSuchChangeError, show
from cdp_assets.warehouse import utc_now

AS_OF = dt.datetime(2026, 6, 1, 12)


class Scripted:
    """A destination that answers as it is told, and remembers what it was sent."""

    label = "scripted"
    concurrency = 1
    interval: float | None = None
    breaker_failures = 10

    def __init__(
        self,
        *script: str | Exception,
        batch_size: int = 1,
        batch_bytes: int | None = None,
    ) -> None:
        self.script = list(script)
        self.batch = BatchLimit(rows=batch_size, bytes=batch_bytes)
        self.batches: list[Batch] = []

    @property
    def sent(self) -> list[tuple[str, str]]:
        return [
            (change.operation, change.unified_individual_id)
            for batch in self.batches
            for change in batch.changes
        ]

    def send(self, batch: Batch) -> list[Reply]:
        self.batches.append(batch)
        answer = self.script.pop(0) if self.script else "delivered"
        if isinstance(answer, Exception):
            raise answer
        return [
            Reply(change.idempotency_key, answer, "scripted")  # type: ignore[arg-type]
            for change in batch.changes
        ]

    def close(self) -> None:
        pass


@pytest.fixture
def go(world: Any, activation: Any) -> Any:
    """Deliver to a scripted destination."""

    def run(destination: Scripted, **options: Any) -> DeliveryResult:
        options = {"at": AS_OF, "budget_seconds": 5} | options
        return deliver(
            world.outbox,
            options.pop("spec", None) or activation(),
            destination,
            rng=random.Random(1),
            **options,
        )

    return run


@pytest.fixture
def fail(activation: Any, go: Any) -> Any:
    """Try once, fail, and come back after the retry is due by a later ``now``."""

    def run(destination: Scripted) -> dict[str, Any]:
        patient = {"max_attempts": 9, "base_seconds": 600, "cap_seconds": 600}
        assert go(destination, spec=activation(retry=patient)).status == "waiting"
        later = utc_now() + dt.timedelta(seconds=601)
        return {"now": lambda: later}

    return run


def receipts(world: Any) -> list[tuple[Any, ...]]:
    return world.waiting(
        "select unified_individual_id, outcome, r.reason, r.consent_record "
        "from receipt as r join outbox as o using (sequence) order by position"
    )


def test_what_waits_reaches_the_receiver_and_gets_a_receipt(
    world: Any, activation: Any, hook: Any, receiver: Receiver
) -> None:
    for name in ("ada", "bob", "cy"):
        world.person(name)
    world.send_off(activation())

    result = deliver_activation(
        world.outbox, activation(), world.paths, environ=hook, at=AS_OF
    )

    assert result == DeliveryResult("welcome", "done", delivered=3)
    messages = [json.loads(line) for line in receiver.path.read_text().splitlines()]
    assert {one["id"] for one in messages} == {
        key for (key,) in world.waiting("select idempotency_key from outbox")
    }
    assert sorted(receipts(world)) == [
        ("ada", "delivered", "HTTP 200", "consent_log:1"),
        ("bob", "delivered", "HTTP 200", "consent_log:2"),
        ("cy", "delivered", "HTTP 200", "consent_log:3"),
    ]


def test_the_outbox_is_its_owners_alone(world: Any, activation: Any) -> None:
    """It holds addresses and names of people, in clear."""
    world.person("ada")
    world.send_off(activation())
    with world.outbox.connect() as connection:
        connection.execute("select count(*) from outbox")
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in world.paths.root.glob("outbox.sqlite*")
        }
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_each_receipt_names_the_consent_that_allowed_or_forbade_it(
    world: Any, activation: Any, hook: Any, receiver: Receiver
) -> None:
    """When a person asks why they were written to, this row is the answer."""
    day = dt.timedelta(days=1)
    expected = {}

    def case(
        name: str, outcome: str, reason: str | None, *rows: dict[str, Any]
    ) -> None:
        world.person(name, consent=None)
        ids = [
            world.consent(f"{name}@example.test", row.pop("status"), **row)
            for row in rows
        ]
        named = next((i for i in ids if i.endswith("!")), None)
        expected[name] = (outcome, reason or "HTTP 200", named)

    def said(status: str, name: str = "", **columns: Any) -> dict[str, Any]:
        return {"status": status} | ({"id": name} if name else {}) | columns

    case("none", "withheld", "no consent row")
    case("given", "delivered", None, said("opt_in", "1!"))
    case("withdrawn", "withheld", "opted out", said("opt_in"), said("opt_out", "2!"))
    case(
        "conflicting",
        "withheld",
        "opted out",
        said("opt_out", "3!", consent_captured_source_name="call_centre"),
        said("opt_in"),
    )
    case(
        "pending",
        "withheld",
        "double opt-in not confirmed",
        said("pending", "4!"),
    )
    case(
        "expired",
        "withheld",
        "no consent row",
        said("opt_in", effective_to_date=AS_OF),
    )
    case(
        "future",
        "withheld",
        "no consent row",
        said("opt_in", effective_from_date=AS_OF + day),
    )
    case(
        "suppressed",
        "withheld",
        "opted out",
        said("opt_in"),
        said(
            "opt_out",
            "5!",
            consent_captured_source_name="call_centre",
            data_use_purpose_id="all",
            engagement_channel_type_id="all",
        ),
    )
    case(
        "elsewhere",
        "withheld",
        "no consent row",
        said("opt_in", engagement_channel_type_id="sms"),
        said("opt_in", data_use_purpose_id="service"),
    )
    world.send_off(activation())

    result = deliver_activation(
        world.outbox, activation(), world.paths, environ=hook, at=AS_OF
    )

    assert (result.delivered, result.withheld) == (1, 8)
    assert receiver.acted == 1
    assert {name: (*found,) for name, *found in receipts(world)} == expected


def test_a_message_planned_before_an_opt_out_does_not_leave_after_it(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada")
    world.person("bob")
    world.send_off(activation())
    opt_out = world.consent("ada@example.test", "opt_out")
    world.hand_over()
    destination = Scripted()

    result = go(destination)

    assert destination.sent == [("add", "bob")]
    assert (result.delivered, result.withheld) == (1, 1)
    assert ("ada", "withheld", "opted out", opt_out) in receipts(world)


def test_consent_is_asked_again_before_every_repetition(
    world: Any, activation: Any, go: Any, fail: Any
) -> None:
    """An opt-out during an outage must stop the retries."""
    world.person("ada")
    world.send_off(activation())
    later = fail(Scripted("failed"))
    world.consent("ada@example.test", "opt_out")
    world.hand_over()
    destination = Scripted()

    assert go(destination, **later).withheld == 1
    assert destination.sent == []


def test_without_an_instant_consent_is_asked_for_the_moment_of_sending(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada", consent=None)
    now = utc_now()
    world.consent(
        "ada@example.test",
        "opt_in",
        consent_captured_date_time=now - dt.timedelta(minutes=1),
        effective_to_date=now + dt.timedelta(minutes=1),
    )
    world.send_off(activation())

    assert go(Scripted(), at=None).delivered == 1


def test_a_removal_needs_no_consent_but_something_to_remove(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada")
    world.person("bob", consent=None)
    world.send_off(activation())
    world.leaves("ada")
    world.leaves("bob")
    world.send_off(activation())
    destination = Scripted()

    result = go(destination)

    # Both were overtaken before anything was sent, so nothing need be removed.
    assert destination.sent == []
    assert result.withheld == 4
    assert {reason for _, _, reason, _ in receipts(world)} == {
        "superseded by change 3",
        "superseded by change 4",
        "nothing was sent that could be removed",
    }


def test_after_an_outage_only_the_latest_change_of_a_person_is_sent(
    world: Any, activation: Any, go: Any
) -> None:
    """'You left something in your cart', sent after the cart was bought."""
    world.person("ada", value=100)
    world.send_off(activation())
    world.worth("ada", 200)
    world.send_off(activation())
    destination = Scripted()

    result = go(destination)

    assert [json.loads(b.changes[0].payload)["value"] for b in destination.batches] == [
        200
    ]
    assert (result.delivered, result.withheld) == (1, 1)


def test_changes_of_a_person_keep_their_order_through_retries(
    world: Any, activation: Any, go: Any, fail: Any
) -> None:
    """An update that overtakes its add is lost when the add comes after it."""
    world.person("ada")
    world.send_off(activation())
    fail(Scripted("failed"))
    world.worth("ada", 900)
    world.send_off(activation())
    destination = Scripted()

    assert go(destination).status == "waiting"
    assert destination.sent == []
    later = utc_now() + dt.timedelta(seconds=601)
    go(destination, now=lambda: later)

    assert destination.sent == [("add", "ada"), ("update", "ada")]
    assert world.states() == {"ada": "delivered"}


def test_a_failing_change_is_tried_again_and_becomes_a_dead_letter(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada")
    world.send_off(activation())
    destination = Scripted(*["failed"] * 9)

    result = go(destination)

    assert (result.status, result.dead, result.failed_attempts) == ("done", 1, 3)
    assert len(destination.sent) == 4
    assert receipts(world) == [
        ("ada", "dead", "gave up after 4 failures: scripted", "consent_log:1")
    ]
    (dead,) = list_changes(world.outbox)
    assert (dead.sequence, dead.attempts) == (1, 4)
    shown = show(world.outbox, 1)
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["failed"] * 4
    assert "payload" not in shown
    assert "example.test" not in str(shown)
    assert show(world.outbox, 1, payload=True)["payload"]["first_name"] == "Ada"


def test_a_rejected_change_is_a_dead_letter_at_once_and_stops_nobody(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada")
    world.person("bob")
    world.send_off(activation())

    result = go(Scripted("rejected"))

    assert (result.dead, result.delivered) == (1, 1)


def test_a_dead_letter_goes_out_again_under_its_old_key(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada")
    world.send_off(activation())
    first = Scripted("rejected")
    go(first)

    with pytest.raises(NoSuchChangeError, match="no change 7; the last is 1"):
        replay(world.outbox, [1, 7], utc_now())
    assert replay(world.outbox, [1], utc_now()).replayed == (1,)
    second = Scripted()
    assert go(second).delivered == 1
    assert (
        first.batches[0].changes[0].idempotency_key
        == second.batches[0].changes[0].idempotency_key
    )
    assert [outcome for _, outcome, *_ in receipts(world)] == ["dead", "delivered"]
    keys = world.waiting("select receipt_id from receipt")
    assert len(set(keys)) == 2
    again = replay(world.outbox, [1], utc_now())
    assert (again.replayed, again.untouched) == ((), {1: "delivered"})
    assert drop(world.outbox, [1]).untouched == {1: "delivered"}


def test_a_dead_letter_that_a_later_change_overtook_is_not_replayed(
    world: Any, activation: Any, go: Any
) -> None:
    """It would put the older state back."""
    world.person("ada")
    world.send_off(activation())
    go(Scripted("rejected"))
    world.worth("ada", 900)
    world.send_off(activation())
    go(Scripted())

    assert replay(world.outbox, [1], utc_now()).overtaken == (1,)
    assert world.states() == {"ada": "delivered"}


def test_a_dead_letter_that_was_replayed_and_withheld_waits_for_consent(
    world: Any, activation: Any, go: Any
) -> None:
    """What became of a dead letter must reach the plan, however late."""
    world.person("ada")
    world.send_off(activation())
    go(Scripted("rejected"))
    assert world.send_off(activation()).planned == 0
    world.consent("ada@example.test", "opt_out")
    replay(world.outbox, [1], utc_now())
    world.hand_over()
    assert go(Scripted()).withheld == 1
    world.consent("ada@example.test", "opt_in")

    assert world.send_off(activation()).planned == 1
    assert go(Scripted()).delivered == 1


def test_a_dropped_dead_letter_is_not_planned_again_until_it_changes(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada")
    world.send_off(activation())
    go(Scripted("rejected"))
    assert drop(world.outbox, [1]).dropped == 1
    assert world.send_off(activation()).planned == 0
    world.worth("ada", 900)

    assert world.send_off(activation()).planned == 1


def test_an_unavailable_destination_costs_no_change_its_attempts(
    world: Any, activation: Any, go: Any
) -> None:
    """A weekend's outage must not turn the queue into dead letters."""
    for number in range(5):
        world.person(f"p{number}")
    world.send_off(activation())
    down = Scripted(*["unavailable"] * 99)

    result = go(down, budget_seconds=1)

    assert result.status in ("waiting", "out of time")
    assert (result.pending, result.dead) == (5, 0)
    # Not five per round: one refusal is enough to leave the destination alone. The
    # pauses add up to a second after nine of them.
    assert len(down.sent) <= 15
    assert world.waiting("select sum(failures) from outbox") == [(0,)]
    assert go(Scripted()).delivered == 5


def test_a_pause_outlives_the_run_and_ends_with_the_first_delivery(
    world: Any, activation: Any, go: Any
) -> None:
    """Retry-After: 3600 does not mean: until your next run."""
    world.person("ada")
    world.send_off(activation())

    class Throttling(Scripted):
        def send(self, batch: Batch) -> list[Reply]:
            super().send(batch)
            key = batch.changes[0].idempotency_key
            return [Reply(key, "unavailable", "HTTP 429", 3600, reached=False)]

    throttling = Throttling()
    assert go(throttling).status == "waiting"
    assert go(throttling).reason == "the destination is left alone: HTTP 429"
    assert len(throttling.batches) == 1
    later = utc_now() + dt.timedelta(seconds=3601)
    assert go(Scripted(), now=lambda: later).delivered == 1
    with world.outbox.connect() as connection:
        assert load(connection, "welcome") == Breaker()


def test_a_destination_that_raises_is_a_failed_attempt_and_says_nothing(
    world: Any, activation: Any, go: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world.person("ada")
    world.send_off(activation())

    result = go(Scripted(OSError("disk full at ada@example.test")))

    assert result.delivered == 1
    assert "OSError" in caplog.text
    assert "ada" not in caplog.text
    assert world.waiting("select outcome, reason from attempt order by attempt") == [
        ("failed", "OSError"),
        ("delivered", "scripted"),
    ]


def test_a_destination_that_forgets_to_answer_has_not_delivered(
    world: Any, activation: Any, go: Any
) -> None:
    class Silent(Scripted):
        def send(self, batch: Batch) -> list[Reply]:
            return super().send(batch)[:-1]

    world.person("ada")
    world.person("bob")
    world.send_off(activation())

    patient = activation(retry={"base_seconds": 600})
    go(Silent(batch_size=2), spec=patient)

    assert world.states() == {"ada": "delivered", "bob": "pending"}


def test_a_batch_that_failed_comes_back_as_the_batch_it_was(
    world: Any, activation: Any, go: Any, fail: Any
) -> None:
    """A file written twice under two names would be loaded twice."""
    for number in range(2):
        world.person(f"p{number}")
    world.send_off(activation())
    first = Scripted("failed", batch_size=2)
    later = fail(first)
    for number in range(2, 5):
        world.person(f"p{number}")
    world.send_off(activation())
    second = Scripted(batch_size=10)

    go(second, **later)

    again, rest = second.batches
    assert again == first.batches[0]
    assert again.name.startswith("000000000001-000000000002-")
    assert len(rest.changes) == 3


def test_the_budget_ends_a_delivery_and_leaves_the_rest_for_the_next(
    world: Any, activation: Any, go: Any
) -> None:
    for number in range(6):
        world.person(f"p{number}")
    world.send_off(activation())
    clock = [utc_now()]

    class Slow(Scripted):
        def send(self, batch: Batch) -> list[Reply]:
            clock[0] += dt.timedelta(seconds=4)
            return super().send(batch)

    slow = Slow()
    result = go(slow, now=lambda: clock[0], budget_seconds=10)

    assert (result.status, result.delivered, result.pending) == ("out of time", 3, 3)
    assert go(slow, now=lambda: clock[0], budget_seconds=99).delivered == 3
    assert len(slow.sent) == 6


def test_two_deliverers_do_not_send_the_same_change(
    world: Any, activation: Any, go: Any
) -> None:
    world.person("ada")
    world.send_off(activation())
    inner: list[DeliveryResult] = []

    class Reentrant(Scripted):
        def send(self, batch: Batch) -> list[Reply]:
            inner.append(go(Scripted()))
            return super().send(batch)

    assert go(Reentrant()).delivered == 1
    assert inner[0].status == "busy"


def test_without_settings_changes_wait_and_the_result_names_the_variable(
    world: Any, activation: Any
) -> None:
    world.person("ada")
    world.send_off(activation())

    result = deliver_activation(world.outbox, activation(), world.paths, environ={})

    assert (result.status, result.pending) == ("not configured", 1)
    assert result.reason == "set the environment variable HOOK_URL"
    assert world.states() == {"ada": "pending"}


def test_one_activation_does_not_deliver_the_changes_of_another(
    world: Any, activation: Any, go: Any
) -> None:
    other = activation(name="farewell")
    world.person("ada")
    world.send_off(activation())
    world.send_off(other)
    destination = Scripted()

    assert go(destination, spec=other).delivered == 1
    assert destination.batches[0].activation == "farewell"


def test_through_every_fault_each_key_is_acted_on_once(
    world: Any, activation: Any, hook: Any, receiver: Receiver
) -> None:
    """Answers that get lost after the act are where duplicates come from."""
    receiver.faults = Faults(rate=0.4, retry_after_seconds=0, rng=random.Random(7))
    spec = activation(
        retry={"max_attempts": 30, "base_seconds": 0.01, "cap_seconds": 0.05}
    )
    for number in range(60):
        world.person(f"p{number}")
    world.send_off(spec)

    result = deliver_activation(
        world.outbox, spec, world.paths, environ=hook, at=AS_OF, budget_seconds=30
    )

    assert (result.status, result.delivered) == ("done", 60)
    ids = [json.loads(line)["id"] for line in receiver.path.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 60
    assert {"429", "500", "drop-before", "drop-after", "half"} <= set(receiver.requests)


def test_retry_after_is_waited_for_within_a_run(
    world: Any, activation: Any, hook: Any, receiver: Receiver
) -> None:
    receiver.faults = Faults(script=["429"], retry_after_seconds=1)
    world.person("ada")
    world.send_off(activation())
    started = utc_now()

    result = deliver_activation(
        world.outbox, activation(), world.paths, environ=hook, at=AS_OF
    )

    assert result.delivered == 1
    assert utc_now() - started >= dt.timedelta(seconds=0.9)


def test_nothing_that_is_logged_names_a_person(
    world: Any,
    activation: Any,
    hook: Any,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Logs are read by more people, and kept longer, than any table."""
    caplog.set_level(logging.DEBUG)
    receiver.faults = Faults(script=["500", "drop-after", "400"])
    world.person("ada")
    world.person("bob", consent="opt_out")
    world.send_off(activation())

    deliver_activation(world.outbox, activation(), world.paths, environ=hook, at=AS_OF)

    said = caplog.text + str(
        world.waiting("select * from attempt") + world.waiting("select * from receipt")
    )
    for personal in ("example.test", "Ada", "ada@", "Bob"):
        assert personal not in said
