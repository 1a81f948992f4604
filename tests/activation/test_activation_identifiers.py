"""Identifiers that pass from one person to another, or that two have at once."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdp_assets.activation.claims import claim
from cdp_assets.activation.dead_letters import replay
from cdp_assets.activation.deciding import KNOWN_ANEW
from cdp_assets.activation.destination_spec import BatchLimit
from cdp_assets.activation.spec import ActivationSpec
from tests.activation.audience import (
    AS_OF,
    AUDIENCE,
    Audience,
    dead,
    goes,
    with_members,
)
from tests.activation.waiting import HISTORIES, asked


@pytest.fixture
def spec(to_audience: ActivationSpec) -> ActivationSpec:
    return to_audience


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
    audience = with_members(world, spec, "ada", "bob")

    world.leaves("ada")
    assert goes(world, spec, audience) == [("remove", "ada", "ada@example.test")]
    world.leaves("bob")
    assert goes(world, spec, audience) == [("remove", "bob", "bob@example.test +491")]


def test_two_who_leave_at_once_take_the_number_with_them(world: Any, spec: Any) -> None:
    audience = with_members(world, spec, "ada", "bob")
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
    audience = with_members(world, spec, "ada", "bob")
    world.leaves("ada")
    goes(world, spec, audience, "refuses removals")
    world.leaves("bob")

    goes(world, spec, audience)

    assert set(audience.known) == {"ada@example.test"}


def test_a_replayed_removal_leaves_what_the_later_add_put_there(
    world: Any, spec: Any
) -> None:
    """The number is the same before and after; only the address must go."""
    audience = with_members(world, spec, "ada")
    world.moves("ada", "new@x.test", consent="opt_in")
    goes(world, spec, audience, "refuses removals")
    [removal] = dead(world.outbox)

    assert replay(world.outbox, [removal], AS_OF).replayed == (removal,)
    assert goes(world, spec, audience) == [("remove", "ada", "ada@example.test")]
    assert set(audience.known) == {"new@x.test", "+491"}


def test_a_removal_is_not_replayed_while_the_address_is_on_its_way_again(
    world: Any, spec: Any
) -> None:
    audience = with_members(world, spec, "ada")
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
    audience = with_members(world, spec, "ada", "bob")
    with world.outbox.connect() as connection:
        for table in ("identifying_field", "waiting_identifier", "held_identifier"):
            connection.execute(f"delete from {table}")
    world.leaves("ada")

    assert goes(world, spec, audience) == [("remove", "ada", "ada@example.test")]


ADDRESSES = ("one@example.test", "two@example.test", "three@example.test")
PEOPLE = ("ada", "bob", "cyd")


class Truth:
    """Who has which address and number, who agreed where, and who is a member."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.address = dict(zip(PEOPLE, ADDRESSES, strict=True))
        self.number = dict.fromkeys(PEOPLE, 1)
        self.agreed, self.members = set(ADDRESSES), set(PEOPLE)
        for name in PEOPLE:
            world.person(name, email=self.address[name], value=1)

    def leave(self, name: str, _: int) -> None:
        self.world.leaves(name)
        self.members.discard(name)

    def enter(self, name: str, _: int) -> None:
        self.world.leaves(name)
        self.world.enters(name)
        self.members.add(name)

    def get_number(self, name: str, choice: int) -> None:
        self.world.worth(name, choice)
        self.number[name] = choice

    def move(self, name: str, choice: int) -> None:
        self.world.moves(name, ADDRESSES[choice])
        self.address[name] = ADDRESSES[choice]

    def agree(self, _: str, choice: int) -> None:
        self.world.consent(ADDRESSES[choice], "opt_in")
        self.agreed.add(ADDRESSES[choice])

    def opt_out(self, _: str, choice: int) -> None:
        self.world.consent(ADDRESSES[choice], "opt_out")
        self.agreed.discard(ADDRESSES[choice])

    def replay(self, *_: object) -> None:
        replay(self.world.outbox, dead(self.world.outbox), AS_OF)

    def may_be_known(self) -> set[str]:
        return {
            known
            for name in self.members
            if self.address[name] in self.agreed
            for known in (self.address[name], f"+49{self.number[name]}")
        }


MODES = (
    "well",
    "fails after removing",
    "fails before removing",
    "refuses removals",
    "refuses adds",
    "loses answers to adds",
)
happenings = st.lists(
    st.tuples(
        st.sampled_from(
            [
                Truth.leave,
                Truth.enter,
                Truth.get_number,
                Truth.move,
                Truth.agree,
                Truth.opt_out,
                Truth.replay,
            ]
        ),
        st.sampled_from(PEOPLE),
        st.integers(0, 2),
        # None: planned only, and delivered with a later step.
        st.sampled_from([None, *MODES]),
    ),
    max_size=8,
)


@HISTORIES
@given(happenings)
@example([(Truth.get_number, "ada", 2, None), (Truth.get_number, "bob", 1, MODES[1])])
def test_after_any_history_it_knows_what_members_may_be_known_by(
    anew: Any, spec: Any, history: Sequence[tuple[Any, str, int, str | None]]
) -> None:
    """Three people share three addresses and three numbers, and take them over."""
    with anew() as world:
        audience, truth = Audience(), Truth(world)
        for happens, name, choice, mode in history:
            happens(truth, name, choice)
            if mode is None:
                world.send_off(spec)
            else:
                goes(world, spec, audience, mode)
                world.wakes()
        for _ in range(2):
            goes(world, spec, audience)
            truth.replay()
        goes(world, spec, audience)
        assert set(audience.known) == truth.may_be_known()
