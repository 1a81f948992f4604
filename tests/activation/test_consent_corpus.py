"""Consent over every combination: what an oracle in plain words says, what was sent.

The corpus takes the product of purpose, channel, status, dates, a second answer (the
same source or another, a double opt-in confirmed or asked for again), further contact
points and global suppression, in an order shuffled by a seed. People then merge two by
two, and are split again; each time planning and the sending decision must agree with
the oracle on every person. ``-m long`` runs 10,000 people and prints the table.
"""

import datetime as dt
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.destination_spec import BatchLimit
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.settlement import settle
from cdp_assets.warehouse import transaction

AS_OF = dt.datetime(2026, 6, 1, 12)
DAY = dt.timedelta(days=1)

PURPOSES = ("marketing", "all", "service", "analytics", "newsletter")
CHANNELS = ("email", "all", "sms", "fax")
STATUSES = ("opt_in", "opt_out", "pending", "no idea")
# When it was captured, begins and ends, in days from now.
DATES = (
    (-30, None, None),
    (-30, -30, 30),
    (-30, 5, None),
    (-30, -30, -1),
    (-30, -30, 0),
    (3, None, None),
    (3, 1, None),
)
# Of the same source or another, how many days after the first, and its status.
SECOND = (
    None,
    ("shop", 1, "opt_in"),
    ("shop", 1, "opt_out"),
    ("shop", 1, "pending"),
    ("shop", 0, "opt_out"),
    ("crm", -1, "opt_in"),
    ("crm", -1, "opt_out"),
    ("crm", 1, "pending"),
)
# What the person's second address says, if there is one.
OTHER_ADDRESS = (None, "silent", "opt_in", "opt_out")
SUPPRESSED = (False, False, True)


@dataclass(frozen=True)
class Answer:
    """A row of consent as the oracle sees it."""

    id: str
    purpose: str
    channel: str
    status: str
    source: str
    captured: dt.datetime
    begins: dt.datetime | None
    ends: dt.datetime | None


@dataclass
class Person:
    """Somebody with addresses, the best first."""

    name: str
    addresses: list[str] = field(default_factory=list)


def oracle(answers: list[Answer]) -> tuple[bool, str | None]:
    """May marketing go to the address by e-mail now, and which row says yes."""
    yes: list[Answer] = []
    for source in {answer.source for answer in answers}:
        said = [a for a in answers if a.source == source and counts(a)]
        # Of one instant what forbids stands, then what is unconfirmed.
        said.sort(key=lambda a: (a.captured, weight(a)))
        decided = [a for a in said if a.status != "pending"]
        if decided and decided[-1].status != "opt_in":
            return False, None
        if said and said[-1].status == "opt_in":
            yes.append(said[-1])
    if not yes:
        return False, None
    newest = max(a.captured for a in yes)
    return True, min(a.id for a in yes if a.captured == newest)


def weight(answer: Answer) -> int:
    return {"opt_in": 0, "pending": 1}.get(answer.status, 2)


def counts(answer: Answer) -> bool:
    """Whether the row is about this message, and in effect now."""
    given = answer.status == "opt_in"
    for said, meant, known in (
        (answer.purpose, "marketing", ("service", "analytics")),
        (answer.channel, "email", ("sms", "phone")),
    ):
        if said in known or (said not in (meant, "all") and given):
            return False
    if answer.ends is not None and answer.ends <= AS_OF:
        return False
    later = answer.begins is not None and answer.begins > AS_OF
    if given:
        return answer.captured <= AS_OF and not later
    announced = answer.begins is not None and answer.begins > answer.captured
    return not (later and announced)


def corpus(people: int) -> tuple[list[Person], dict[str, list[Answer]]]:
    """The people, and per address what was answered."""
    combinations = list(
        itertools.product(
            PURPOSES, CHANNELS, STATUSES, DATES, SECOND, OTHER_ADDRESS, SUPPRESSED
        )
    )
    random.Random(5).shuffle(combinations)
    made, answers = [], {}
    for number, combination in enumerate(combinations[:people]):
        purpose, channel, status, dates, second, other, suppressed = combination
        person = Person(f"p{number:05}", [f"p{number:05}@one.test"])
        captured, begins, ends = (None if d is None else AS_OF + d * DAY for d in dates)
        assert captured is not None
        said = [
            Answer("1", purpose, channel, status, "shop", captured, begins, ends),
        ]
        if second:
            source, days, its_status = second
            at = captured + days * DAY
            said.append(
                Answer("2", "marketing", "email", its_status, source, at, None, None)
            )
        if suppressed:
            # The global list: everything, everywhere, for good.
            at = AS_OF - 300 * DAY
            said.append(Answer("3", "all", "all", "opt_out", "list", at, None, None))
        answers[person.addresses[0]] = said
        if other:
            person.addresses.append(f"p{number:05}@two.test")
            at = AS_OF - DAY
            answers[person.addresses[1]] = (
                []
                if other == "silent"
                else [Answer("1", "marketing", "email", other, "shop", at, None, None)]
            )
        made.append(person)
    return made, {
        address: [
            Answer(f"{address}/{a.id}", *list(vars(a).values())[1:]) for a in said
        ]
        for address, said in answers.items()
    }


class Taking:
    """A destination that remembers whom it was given, and under which address."""

    label = "taking"
    batch = BatchLimit(rows=500)
    interval = None
    breaker_failures = 10
    concurrency = 1

    def __init__(self) -> None:
        self.holds: dict[str, str] = {}

    def send(self, batch: Batch) -> list[Reply]:
        for change in batch.changes:
            if change.operation == "remove":
                self.holds.pop(change.unified_individual_id)
            else:
                payload = json.loads(change.payload)
                self.holds[change.unified_individual_id] = payload["email"]
        return [Reply(change.idempotency_key, "delivered") for change in batch.changes]

    def close(self) -> None:
        pass


def put(world: Any, people: list[Person]) -> None:
    """These are the people now."""
    connection = world.connection
    for table in ("unified.unified_individual", "unified.unified_contact_point_email"):
        connection.execute(f"delete from {table}")
    connection.execute(
        "insert into unified.unified_individual select unnest($names), 'X'",
        {"names": [person.name for person in people]},
    )
    rows = [
        (f"{person.name}-{rank}", person.name, address, rank)
        for person in people
        for rank, address in enumerate(person.addresses)
    ]
    connection.execute(
        "insert into unified.unified_contact_point_email "
        "select unnest($a), unnest($b), unnest($c), false, unnest($d)",
        dict(zip("abcd", map(list, zip(*rows, strict=True)), strict=True)),
    )
    connection.execute("delete from segments.membership")
    connection.execute(
        "insert into segments.membership "
        "select 'vip', unified_individual_id, $at, null, 1 "
        "from unified.unified_individual",
        {"at": AS_OF},
    )


def answer_all(world: Any, answers: dict[str, list[Answer]]) -> None:
    rows = [
        (
            *(a.id, address, a.purpose, a.channel, a.status, a.source),
            *(a.captured, a.begins, a.ends),
        )
        for address, said in answers.items()
        for a in said
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    world.connection.execute(
        """
        insert into dmo.contact_point_consent (
            id, contact_point_type_id, contact_point_value, data_use_purpose_id,
            engagement_channel_type_id, consent_status_id,
            consent_captured_source_name, consent_captured_date_time,
            effective_from_date, effective_to_date
        ) select unnest($a), 'email', unnest($b), unnest($c), unnest($d), unnest($e),
            unnest($f), unnest($g::timestamp[]), unnest($h::timestamp[]),
            unnest($i::timestamp[])
        """,
        dict(zip("abcdefghi", columns, strict=True)),
    )


def expected(
    people: list[Person], answers: dict[str, list[Answer]]
) -> dict[str, str | None]:
    """Per person the address that is written to, or None."""
    return {
        person.name: next(
            (each for each in person.addresses if oracle(answers[each])[0]), None
        )
        for person in people
    }


def merged(people: list[Person]) -> list[Person]:
    """Every second pair is one person, with the addresses of both."""
    made = []
    for place in range(0, len(people), 2):
        first, *second = people[place : place + 2]
        if place % 4 == 0 and second:
            both = first.addresses + second[0].addresses
            made.append(Person(first.name, both))
        else:
            made += [first, *second]
    return made


def run_corpus(world: Any, spec: Any, size: int) -> Counter[tuple[str, str, str]]:
    people, answers = corpus(size)
    answer_all(world, answers)
    destination, table = Taking(), Counter[tuple[str, str, str]]()
    for phase, now in (
        ("apart", people),
        ("merged", merged(people)),
        ("split again", people),
    ):
        put(world, now)
        world.plan(spec)
        world.hand_over()
        deliver(world.outbox, spec, destination, at=AS_OF, budget_seconds=300)
        with transaction(world.connection):
            settle(world.connection, world.outbox)
        should = expected(now, answers)
        for name, address in should.items():
            table[
                phase,
                "sent" if address else "withheld",
                "sent" if name in destination.holds else "withheld",
            ] += 1
        assert destination.holds == {n: a for n, a in should.items() if a}
    receipts = world.waiting(
        "select contact_point_value, consent_record from outbox "
        "where state = 'delivered' and operation <> 'remove'"
    )
    assert receipts
    assert [record for _, record in receipts] == [
        oracle(answers[address])[1] for address, _ in receipts
    ]
    return table


@pytest.fixture
def spec(activation: Any) -> Any:
    return activation(mapping={"email": "contact.email_address"})


def test_what_is_sent_is_what_the_oracle_allows(world: Any, spec: Any) -> None:
    table = run_corpus(world, spec, 1_000)
    # A corpus in which nothing is allowed, or everything, would prove little.
    assert table["apart", "sent", "sent"] > 100
    assert table["apart", "withheld", "withheld"] > 100


@pytest.mark.long
def test_ten_thousand_people_of_every_combination(
    world: Any, spec: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table = run_corpus(world, spec, 10_000)
    with capsys.disabled():
        print(f"\n{'':<14}{'expected':<10}{'actual':<10}{'people':>8}")
        for (phase, should, did), people in sorted(table.items()):
            print(f"{phase:<14}{should:<10}{did:<10}{people:>8,}")
    assert sum(n for (phase, *_), n in table.items() if phase == "apart") == 10_000
