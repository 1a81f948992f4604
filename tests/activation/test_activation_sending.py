"""Sending: batches and their halves, the rate, the breaker, pauses, and order."""

import datetime as dt
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.activation.breaker import Breaker, load
from cdp_assets.activation.dead_letters import list_changes
from cdp_assets.activation.delivery import DeliveryResult, deliver
from cdp_assets.activation.destination_spec import interval
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.outbox import SCHEMA, Outbox
from cdp_assets.activation.pausing import pause, resume
from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.cli import main
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now
from tests.activation.waiting import AS_OF, Answering, asked, declare, fill


@pytest.fixture
def outbox(paths: Paths) -> Outbox:
    return Outbox(paths.outbox)


def send(
    outbox: Outbox,
    destination: Answering,
    spec: ActivationSpec | None = None,
    **how: Any,
) -> DeliveryResult:
    options = {"at": AS_OF, "budget_seconds": 5, "rng": random.Random(1)} | how
    return deliver(outbox, spec or declare(), destination, **options)


def states(outbox: Outbox) -> dict[str, str]:
    return dict(
        asked(outbox, "select unified_individual_id, state from outbox order by 1")
    )


class Saying(Answering):
    """Answers every change with the next outcome it was given, then delivers."""

    def __init__(
        self, *outcomes: str, rows: int = 1, wait: float | None = None
    ) -> None:
        super().__init__(rows)
        self.outcomes = list(outcomes)
        self.wait = wait

    def answer(self, batch: Batch) -> list[Reply]:
        outcome: Any = self.outcomes.pop(0) if self.outcomes else "delivered"
        return [
            Reply(change.idempotency_key, outcome, "said", self.wait)
            for change in batch.changes
        ]


def test_a_batch_holds_so_many_rows_and_bytes_at_most(outbox: Outbox) -> None:
    fill(outbox, range(7))
    size = len(asked(outbox, "select payload from outbox limit 1")[0][0])
    fill(outbox, ["large"], name="x" * 10 * size)

    by_rows = Answering(rows=3)
    assert send(outbox, by_rows, budget_seconds=0.0).status == "out of time"
    by_bytes = Answering(rows=100, most_bytes=3 * size)
    assert send(outbox, by_bytes).delivered == 8

    assert [len(batch) for batch in by_bytes.people] == [3, 3, 1, 1]
    fill(outbox, range(10, 17))
    assert send(outbox, by_rows).delivered == 7
    assert [len(batch) for batch in by_rows.people] == [3, 3, 1]


class OneWord(Answering):
    """Refuses a whole batch for the sake of some people, and does not say whose."""

    def __init__(self, rows: int, poison: set[str]) -> None:
        super().__init__(rows)
        self.poison = poison

    def answer(self, batch: Batch) -> list[Reply]:
        people = {change.unified_individual_id for change in batch.changes}
        if not people & self.poison:
            return super().answer(batch)
        outcome: Any = "rejected" if len(people) == 1 else "split"
        return [
            Reply(change.idempotency_key, outcome, "HTTP 400")
            for change in batch.changes
        ]


@settings(max_examples=20, deadline=None)
@given(poison=st.sets(st.integers(0, 39), max_size=4), rows=st.integers(2, 40))
def test_no_batch_falls_with_one_of_its_rows(
    tmp_path_factory: pytest.TempPathFactory, poison: set[int], rows: int
) -> None:
    """One bad address made a hundred dead letters."""
    outbox = Outbox(tmp_path_factory.mktemp("out") / "outbox.sqlite")
    fill(outbox, range(40))
    destination = OneWord(rows, {f"p{number:06}" for number in poison})

    result = send(outbox, destination)

    assert (result.delivered, result.dead) == (40 - len(poison), len(poison))
    dead = {change.unified_individual_id for change in list_changes(outbox)}
    assert dead == destination.poison
    # Each of them is found by halving, not by sending everybody alone.
    halvings = 2 * len(poison) * rows.bit_length()
    assert len(destination.batches) <= -(-40 // rows) + halvings


def test_an_opt_out_takes_its_person_out_of_a_batch_that_waits(outbox: Outbox) -> None:
    fill(outbox, range(4))
    again = Saying("unavailable", rows=4, wait=0.0)
    patient = declare(retry={"base_seconds": 600})
    assert send(outbox, again, patient).status == "waiting"
    with outbox.connect() as connection:
        connection.execute(
            "update consent set status = 'opt_out' "
            "where contact_point_value like 'p000002%'"
        )
    later = utc_now() + dt.timedelta(seconds=700)

    assert send(outbox, again, patient, now=lambda: later).delivered == 3

    assert again.people[1] == ["p000000", "p000001", "p000003"]
    assert states(outbox)["p000002"] == "withheld"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4 per second", 0.25), ("30 per minute", 2.0), ("120 per hour", 30.0)],
)
def test_a_rate_is_read(text: str, seconds: float) -> None:
    assert interval(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "10/s", "0 per second", "5 per day"])
def test_what_is_no_rate_is_told_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate; write one like '10 per second'"):
        interval(text)


def test_requests_keep_to_the_rate_and_a_new_run_does_not_start_with_a_burst(
    outbox: Outbox,
) -> None:
    fill(outbox, range(12))

    class Timed(Answering):
        concurrency = 4
        interval = 0.05
        stamps: list[float] = []  # noqa: RUF012 - both runs' together

        def answer(self, batch: Batch) -> list[Reply]:
            self.stamps.append(time.monotonic())
            return super().answer(batch)

    first = send(outbox, Timed(), budget_seconds=0.25)
    assert (first.status, first.reason) == ("waiting", "its rate allows no more now")
    assert send(outbox, Timed()).status == "done"

    assert len(Timed.stamps) == 12
    # Whatever the window, no more than the rate and one, and one more per run.
    for start in Timed.stamps:
        within = [s for s in Timed.stamps if start <= s < start + 0.2]
        assert len(within) <= 0.2 / 0.05 + 2


def test_a_destination_that_only_fails_is_left_alone_and_its_queue_lives(
    outbox: Outbox,
) -> None:
    """A server that answers 500 for a day must not cost each change its attempts."""
    fill(outbox, range(100))
    down = Saying(*["failed"] * 1000)
    spec = declare(retry={"max_attempts": 8, "base_seconds": 600, "cap_seconds": 3600})

    result = send(outbox, down, spec)

    assert result.status == "waiting"
    assert result.reason == (
        "the destination is left alone: 10 failures in a row: said"
    )
    assert (result.dead, result.pending) == (0, 100)
    assert len(down.batches) == 10


def test_half_open_one_request_tries_and_opens_it_for_longer_or_closes_it(
    outbox: Outbox,
) -> None:
    fill(outbox, range(50))
    spec = declare(retry={"max_attempts": 50, "base_seconds": 100, "cap_seconds": 9999})
    clock = utc_now()

    def run(destination: Answering) -> tuple[int, Breaker]:
        send(outbox, destination, spec, now=lambda: clock)
        with outbox.connect() as connection:
            return len(destination.batches), load(connection, "welcome")

    destination = Saying(*["unavailable"] * 99)
    destination.concurrency = 8
    requests, breaker = run(destination)
    assert requests <= 8
    assert breaker.state(clock) == "open"
    first = breaker.open_until
    assert first is not None
    assert run(Saying())[0] == 0  # a restart remembers

    clock = first
    assert breaker.state(clock) == "half-open"
    one = Saying("failed")
    one.concurrency = 8
    requests, breaker = run(one)
    assert requests == 1
    assert breaker.openings == 2
    assert breaker.open_until is not None
    assert breaker.open_until - clock >= dt.timedelta(seconds=100)

    clock = breaker.open_until + dt.timedelta(seconds=9999)
    requests, breaker = run(Saying())
    assert requests == 50
    assert breaker == Breaker()
    assert set(states(outbox).values()) == {"delivered"}


def test_an_answer_from_before_the_refusal_does_not_end_the_wait() -> None:
    """Retry-After: 3600 was forgotten because another request had just got through."""
    from cdp_assets.activation.attempting import Attempt
    from cdp_assets.activation.claims import Claim

    start = dt.datetime(2026, 6, 1, 12)
    late = start + dt.timedelta(seconds=2)

    def ended(outcome: Any, wait: float | None = None) -> Attempt:
        return Attempt(
            Claim("1", ()), start, (), ((None, Reply("k", outcome, "r", wait), None),)
        )  # type: ignore[arg-type]

    breaker = Breaker()
    rng = random.Random(1)
    breaker.heed([ended("unavailable", 3600)], declare(), 10, late, rng)
    breaker.heed([ended("delivered")], declare(), 10, late, rng)

    assert breaker.state(late + dt.timedelta(seconds=3599)) == "open"
    assert breaker.state(late + dt.timedelta(seconds=3601)) == "half-open"


@pytest.mark.parametrize("name", ["welcome", "*"])
def test_what_an_operator_paused_stays_until_it_is_resumed(
    outbox: Outbox, name: str
) -> None:
    fill(outbox, range(3))
    with outbox.connect() as connection:
        pause(connection, utc_now(), name)
    destination = Answering()

    stopped = send(outbox, destination)

    assert (stopped.status, stopped.pending) == ("waiting", 3)
    assert stopped.reason is not None
    assert "cdp outbox resume" in stopped.reason
    assert destination.batches == []
    with outbox.connect() as connection:
        assert resume(connection, name)
        assert not resume(connection, name)
    assert send(outbox, destination).delivered == 3


def test_a_pause_holds_from_the_next_request_on(outbox: Outbox) -> None:
    fill(outbox, range(200))

    class Pausing(Answering):
        def answer(self, batch: Batch) -> list[Reply]:
            if len(self.batches) == 1:
                with outbox.connect() as connection:
                    pause(connection, utc_now())
            return super().answer(batch)

    destination = Pausing()
    assert send(outbox, destination).status == "waiting"
    assert len(destination.batches) == 1


def test_an_alias_waits_for_both_people_and_both_wait_for_it(outbox: Outbox) -> None:
    """An alias that overtook the loser's add named somebody nobody knew."""
    fill(outbox, ["loser"])
    fill(outbox, ["winner"])
    destination = Saying("failed", "failed", rows=10)
    patient = declare(retry={"base_seconds": 600})
    send(outbox, destination, patient)
    fill(outbox, ["winner"], operation="alias", previous="loser")
    fill(outbox, ["winner"], operation="update")
    fill(outbox, ["stranger"], operation="alias", previous="nobody")
    later = utc_now() + dt.timedelta(seconds=700)

    assert send(outbox, destination, patient, now=lambda: later).status == "waiting"
    later += dt.timedelta(seconds=700)
    assert send(outbox, destination, patient, now=lambda: later).status == "done"

    sent = [
        [(change.operation, change.unified_individual_id) for change in batch.changes]
        for batch in destination.batches
    ]
    both = [("add", "loser"), ("add", "winner")]
    alias, update = [("alias", "winner")], [("update", "winner")]
    assert sent == [both, both, [("alias", "stranger")], both, alias, update]
    assert destination.batches[4].changes[0].previous_individual_id == "loser"


def test_an_alias_of_somebody_who_was_never_sent_is_withheld(outbox: Outbox) -> None:
    fill(outbox, ["loser"])
    fill(outbox, ["winner"], operation="alias", previous="loser")
    with outbox.connect() as connection:
        connection.execute("delete from consent where contact_point_value like 'los%'")
    destination = Answering()

    assert send(outbox, destination).withheld == 2
    assert destination.batches == []
    assert asked(outbox, "select reason from outbox where sequence = 2") == [
        ("nothing was sent that could be removed",)
    ]


def test_an_outbox_of_before_keeps_its_changes_and_its_waits(paths: Paths) -> None:
    paths.root.mkdir(exist_ok=True)
    connection = sqlite3.connect(paths.outbox, isolation_level=None)
    connection.executescript((SCHEMA / "0001_outbox.sql").read_text())
    connection.execute("pragma user_version = 1")
    connection.execute(
        "insert into outbox (sequence, idempotency_key, activation, segment, "
        "unified_individual_id, operation, cause, payload, planned_run, planned_at, "
        "next_attempt_at, state) values (7, 'k', 'welcome', 's', 'ada', 'add', "
        "'entered', '{}', 1, '', '', 'delivered')"
    )
    connection.execute("insert into attempt values (7, 1, '', '', 'delivered', null)")
    connection.execute(
        "insert into pause values ('welcome', '2026-06-01T12:00:00', 3, 'HTTP 429')"
    )
    connection.close()

    with Outbox(paths.outbox).connect() as migrated:
        assert migrated.execute(
            "select sequence, state, previous_individual_id from outbox"
        ).fetchall() == [(7, "delivered", None)]
        assert migrated.execute("pragma foreign_key_check").fetchall() == []
        breaker = load(migrated, "welcome")
        with pytest.raises(sqlite3.IntegrityError):
            migrated.execute("insert into attempt values (8, 1, '', '', 'x', null)")
    assert (breaker.openings, breaker.reason) == (3, "HTTP 429")
    assert breaker.open_until == dt.datetime(2026, 6, 1, 12)


@pytest.fixture
def cdp(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CDP_DATA", str(paths.root))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["outbox", *arguments])
        return result.output

    return run


def test_dead_letters_are_found_by_activation_and_reason_and_replayed_at_once(
    outbox: Outbox, cdp: Any
) -> None:
    fill(outbox, range(3))
    fill(outbox, range(10, 12), activation="farewell")
    for name in ("welcome", "farewell"):
        destination = Saying(*["rejected"] * 9)
        send(outbox, destination, declare(name))
    with outbox.connect() as connection:
        connection.execute(
            "update outbox set reason = 'refused: HTTP 422' where sequence = 2"
        )

    assert "3 dead:" in cdp("list", "--activation", "welcome")
    assert "1 dead:" in cdp("list", "--reason", "http 422")
    assert "and 3 more" in cdp("list", "--limit", "2")
    assert "name dead letters by number, or all" in cdp("replay")
    assert "name dead letters by number, or all" in cdp("drop", "1", "--reason", "x")
    assert "2 will go out again" in cdp(
        "replay", "--activation", "welcome", "--reason", "said"
    )
    assert "1 dropped" in cdp("drop", "--reason", "422")
    assert asked(outbox, "select state from outbox order by sequence") == [
        ("pending",),
        ("dropped",),
        ("pending",),
        ("dead",),
        ("dead",),
    ]


def test_an_operator_sees_which_destination_is_left_alone_and_takes_it_back(
    outbox: Outbox, cdp: Any
) -> None:
    name = "cart_abandoners"
    fill(outbox, range(3), activation=name)
    send(outbox, Saying("unavailable", wait=3600.0), declare(name))

    assert f"{name:<28}open: said; left alone until" in cdp("list")
    assert "did you mean 'cart_abandoners'?" in cdp("resume", "cart_abandoner")
    assert "tried again" in cdp("resume", name)
    assert "nothing leaves until" in cdp("pause")
    assert "paused since" in cdp("list")
    assert send(outbox, Answering(), declare(name)).delivered == 0
    cdp("resume")
    assert send(outbox, Answering(), declare(name)).delivered == 3


def test_what_a_status_says_of_an_outbox(outbox: Outbox, tmp_path: Path) -> None:
    from cdp_assets.operations.gathering import _outbox as look

    fill(outbox, range(3))
    send(outbox, Saying("unavailable", wait=3600.0))
    damaged: list[str] = []

    (fact,) = look(Paths(outbox.path.parent), damaged)

    assert damaged == []
    assert (fact.pending, fact.dead) == (3, 0)
    assert fact.stopped is not None
    assert fact.stopped.startswith("left alone until ")
    assert fact.stopped.endswith(": said")


@pytest.mark.parametrize("rows", [1, 10])
def test_changes_to_one_contact_point_keep_their_order(
    outbox: Outbox, rows: int
) -> None:
    """Of a merge, the loser's removal must not undo the winner's update."""
    shared = "home@example.test"
    fill(outbox, ["loser"], operation="remove", mail=shared)
    fill(outbox, ["other"])
    fill(outbox, ["winner"], operation="update", mail=shared)
    under_way: set[str] = set()

    class Slowly(Answering):
        def send(self, batch: Batch) -> list[Reply]:
            people = {change.unified_individual_id for change in batch.changes}
            under_way.update(people)
            time.sleep(0.05)
            assert not {"loser", "winner"} <= under_way
            under_way.difference_update(people)
            return super().send(batch)

    slowly = Slowly(rows=rows)
    slowly.concurrency = 4
    assert send(outbox, slowly).delivered == 3
    sent = [who for batch in slowly.people for who in batch]
    assert sent.index("loser") < sent.index("winner")
