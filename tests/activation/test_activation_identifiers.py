"""Identifiers that pass from one person to another, or that two have at once."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdp_assets.activation.claims import claim
from cdp_assets.activation.dead_letters import replay
from cdp_assets.activation.deciding import KNOWN_ANEW
from cdp_assets.activation.destination_spec import BatchLimit
from cdp_assets.activation.destinations.protocol import Batch, Change, Reply
from cdp_assets.activation.identifiers import register
from cdp_assets.activation.outbox import Outbox, transaction
from tests.activation.waiting import HISTORIES, Answering, asked

AS_OF = dt.datetime(2026, 6, 1, 12)
FIELDS = ("email", "phone")
AUDIENCE = {
    "kind": "http",
    "template": "google_audience",
    "settings": {"account_id": "1", "audience_id": "2"},
    "environment": {
        "client_id": "ID",
        "client_secret": "SECRET",
        "refresh_token": "TOKEN",
    },
}
# A test gives somebody another number by what they have spent.
PHONE = "'+49' || lifetime_value.lifetime_value::integer"


class Audience(Answering):
    """Holds addresses and numbers, as Google's does; ``mode`` says how it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, str] = {}
        self.got: list[tuple[str, str, str]] = []
        self.mode = "well"

    def answer(self, batch: Batch) -> list[Reply]:
        (change,) = batch.changes
        if change.operation == "remove":
            if self.mode == "refuses removals":
                return [Reply(change.idempotency_key, "rejected", "no", reached=False)]
            if self.mode == "fails after removing":
                self.mode = "well"
                self._act(change)
                return [Reply(change.idempotency_key, "failed", "cut off")]
            if self.mode == "fails before removing":
                self.mode = "well"
                return [Reply(change.idempotency_key, "failed", "cut off")]
        self._act(change)
        return super().answer(batch)

    def _act(self, change: Change) -> None:
        named = json.loads(change.payload)
        self.got.append(
            (
                change.operation,
                change.unified_individual_id,
                " ".join(named[field] for field in FIELDS if named[field]),
            )
        )
        for field in FIELDS:
            if change.operation == "remove":
                self.known.pop(named[field], None)
            elif named[field]:
                self.known[named[field]] = change.unified_individual_id


@pytest.fixture
def spec(activation: Any) -> Any:
    return activation(
        destination=AUDIENCE, mapping={"email": "contact.email_address", "phone": PHONE}
    )


def goes(
    world: Any, spec: Any, audience: Audience, mode: str = "well"
) -> list[tuple[str, str, str]]:
    """Plan, deliver and settle; returns what arrived."""
    world.send_off(spec)
    audience.mode = mode
    audience.got.clear()
    world.deliver(spec, audience)
    follow_from_the_outbox(world.outbox, spec.name)
    return audience.got.copy()


def with_one_number(world: Any, spec: Any) -> Audience:
    """An audience that Ada and Bob are in, under one number."""
    audience = Audience()
    world.person("ada", value=1)
    world.person("bob", value=1)
    goes(world, spec, audience)
    return audience


def tables(outbox: Outbox) -> list[list[tuple[Any, ...]]]:
    return [
        sorted(asked(outbox, f"select * from {table}"))
        for table in ("waiting_identifier", "held_identifier")
    ]


def follow_from_the_outbox(outbox: Outbox, name: str) -> None:
    """What is kept up change by change is what is found when it is made anew."""
    before = tables(outbox)
    with outbox.connect() as connection, transaction(connection):
        register(connection, name, ())
        register(connection, name, FIELDS)
    assert tables(outbox) == before


def dead(outbox: Outbox) -> list[int]:
    return [
        sequence
        for (sequence,) in asked(
            outbox, "select sequence from outbox where state = 'dead' order by 1"
        )
    ]


@pytest.mark.parametrize("mode", ["fails after removing", "fails before removing"])
def test_a_number_is_not_taken_from_whoever_has_it_now(
    world: Any, spec: Any, mode: str
) -> None:
    """The removal was put off, the other's add went first, and was undone by it."""
    audience = Audience()
    world.person("ada", value=1)
    world.person("bob", value=2)
    goes(world, spec, audience)
    world.worth("ada", 3)
    world.worth("bob", 1)

    goes(world, spec, audience, mode)

    assert audience.known == {
        "ada@example.test": "ada",
        "+493": "ada",
        "bob@example.test": "bob",
        "+491": "bob",
    }


def test_an_add_waits_while_somebody_is_removed_under_its_number(
    world: Any, spec: Any
) -> None:
    """Two threads would have both under way, and the destination either one last."""
    world.person("ada", value=1)
    goes(world, spec, Audience())
    world.worth("ada", 3)
    world.person("bob", value=1)
    world.person("cyd", value=2)
    world.send_off(spec)

    with world.outbox.connect() as connection:
        claims = claim(connection, spec.name, BatchLimit(rows=1), 10, AS_OF)

    assert [
        (row.operation, row.unified_individual_id) for one in claims for row in one.rows
    ] == [("remove", "ada"), ("add", "cyd")]


def test_a_number_that_two_have_stays_until_both_have_left(
    world: Any, spec: Any
) -> None:
    audience = with_one_number(world, spec)

    world.leaves("ada")
    assert goes(world, spec, audience) == [("remove", "ada", "ada@example.test")]
    world.leaves("bob")
    assert goes(world, spec, audience) == [("remove", "bob", "bob@example.test +491")]


def test_two_who_leave_at_once_take_the_number_with_them(world: Any, spec: Any) -> None:
    audience = with_one_number(world, spec)
    world.leaves("ada")
    world.leaves("bob")

    goes(world, spec, audience)

    assert audience.known == {}


def test_who_left_nothing_of_their_own_there_is_not_removed(
    world: Any, spec: Any
) -> None:
    """Nothing is sent, the receipt says why, and it is not planned again."""
    audience = Audience()
    world.person("ada", value=1)
    world.person("bob", value=1, email="ada@example.test")
    goes(world, spec, audience)
    world.leaves("ada")

    assert goes(world, spec, audience) == []
    assert asked(world.outbox, "select outcome, reason from receipt")[-1] == (
        "withheld",
        KNOWN_ANEW,
    )
    assert goes(world, spec, audience) == []
    assert len(world.planned()) == 3
    world.leaves("bob")
    assert goes(world, spec, audience) == [("remove", "bob", "ada@example.test +491")]


def test_who_cannot_be_removed_keeps_no_number_there_for_others(
    world: Any, spec: Any
) -> None:
    audience = with_one_number(world, spec)
    world.leaves("ada")
    goes(world, spec, audience, "refuses removals")
    world.leaves("bob")

    goes(world, spec, audience)

    assert set(audience.known) == {"ada@example.test"}


def test_a_replayed_removal_leaves_what_the_later_add_put_there(
    world: Any, spec: Any
) -> None:
    """The number is the same before and after; only the address must go."""
    audience = Audience()
    world.person("ada", value=1)
    goes(world, spec, audience)
    world.connection.execute(
        "update unified.unified_contact_point_email set email_address = 'new@x.test'"
    )
    world.consent("new@x.test", "opt_in")
    goes(world, spec, audience, "refuses removals")
    [removal] = dead(world.outbox)

    assert replay(world.outbox, [removal], AS_OF).replayed == (removal,)
    assert goes(world, spec, audience) == [("remove", "ada", "ada@example.test")]
    assert set(audience.known) == {"new@x.test", "+491"}


def test_a_removal_is_not_replayed_while_the_address_is_on_its_way_again(
    world: Any, spec: Any
) -> None:
    audience = Audience()
    world.person("ada", value=1)
    goes(world, spec, audience)
    world.leaves("ada")
    goes(world, spec, audience, "refuses removals")
    world.person("bob", value=1)
    world.send_off(spec)
    with world.outbox.connect() as connection:
        connection.execute(
            "update outbox set state = 'delivering' where state = 'pending'"
        )
    [removal] = dead(world.outbox)

    assert replay(world.outbox, [removal], AS_OF).overtaken == (removal,)


def test_a_first_phone_number_is_an_update_and_removes_nobody(
    world: Any, activation: Any, spec: Any
) -> None:
    """A mapping that gains a field would empty the audience and fill it again."""
    audience = Audience()
    world.person("ada", value=1)
    without = activation(
        destination=AUDIENCE,
        mapping={"email": "contact.email_address", "phone": "null::varchar"},
    )
    goes(world, without, audience)

    assert goes(world, spec, audience) == [("update", "ada", "ada@example.test +491")]


def test_an_outbox_from_before_knows_what_was_sent(world: Any, spec: Any) -> None:
    audience = with_one_number(world, spec)
    with world.outbox.connect() as connection:
        for table in ("identifying_field", "waiting_identifier", "held_identifier"):
            connection.execute(f"delete from {table}")
    world.leaves("ada")

    assert goes(world, spec, audience) == [("remove", "ada", "ada@example.test")]


ADDRESSES = ("one@example.test", "two@example.test", "three@example.test")
PEOPLE = ("ada", "bob", "cyd")
happenings = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "enter",
                "leave",
                "number",
                "move",
                "yes",
                "no",
                "wait",
                "fails after removing",
                "fails before removing",
                "refuses removals",
            ]
        ),
        st.sampled_from(PEOPLE),
        st.integers(0, 2),
    ),
    max_size=9,
)


@HISTORIES
@given(happenings)
@example([("number", "ada", 2), ("number", "bob", 1), ("wait", "ada", 0)])
def test_after_any_history_it_knows_what_members_may_be_known_by(
    anew: Any, spec: Any, history: Sequence[tuple[str, str, int]]
) -> None:
    """Three people share three addresses and three numbers, and take them over.

    ``wait``: planned, and delivered with a later step.
    """
    with anew() as world:
        audience = Audience()
        address = dict(zip(PEOPLE, ADDRESSES, strict=True))
        number = dict.fromkeys(PEOPLE, 1)
        agreed, members = set(ADDRESSES), set(PEOPLE)
        for name in PEOPLE:
            world.person(name, email=address[name], value=1)
        for action, name, choice in history:
            if action == "leave":
                world.leaves(name)
                members.discard(name)
            elif action == "enter":
                world.leaves(name)
                world.enters(name)
                members.add(name)
            elif action == "number":
                world.worth(name, choice)
                number[name] = choice
            elif action == "move":
                world.connection.execute(
                    "update unified.unified_contact_point_email set email_address = ? "
                    "where unified_individual_id = ?",
                    [ADDRESSES[choice], name],
                )
                address[name] = ADDRESSES[choice]
            elif action in ("yes", "no"):
                world.consent(
                    ADDRESSES[choice], {"yes": "opt_in", "no": "opt_out"}[action]
                )
                (agreed.add if action == "yes" else agreed.discard)(ADDRESSES[choice])
            if action == "wait":
                world.send_off(spec)
            else:
                goes(world, spec, audience, action if " " in action else "well")
        goes(world, spec, audience)
        replay(world.outbox, dead(world.outbox), AS_OF)
        goes(world, spec, audience)
        assert set(audience.known) == {
            known
            for name in members
            if address[name] in agreed
            for known in (address[name], f"+49{number[name]}")
        }
