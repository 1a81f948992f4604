"""People whose address changes, at destinations that know them by it."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdp_assets.activation.dead_letters import replay
from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.destinations.template import HttpTemplate
from tests.activation.waiting import HISTORIES, Answering

AS_OF = dt.datetime(2026, 6, 1, 12)
HUBSPOT = {
    "kind": "http",
    "template": "hubspot",
    "settings": {"member_property": "in_vip"},
    "environment": {"token": "HUBSPOT_TOKEN"},
}


class ByAddress(Answering):
    """A destination that knows people by their e-mail address, as HubSpot does."""

    def __init__(self, held: dict[str, str]) -> None:
        super().__init__()
        self.addresses = held
        self.got: list[tuple[str, str]] = []

    def answer(self, batch: Batch) -> list[Reply]:
        for change in batch.changes:
            address = json.loads(change.payload)["email"]
            self.got.append((change.operation, address))
            if change.operation == "remove":
                self.addresses.pop(address, None)
            else:
                self.addresses[address] = change.unified_individual_id
        return super().answer(batch)


@pytest.fixture
def to_hubspot(activation: Any) -> Any:
    return activation(destination=HUBSPOT)


def goes(world: Any, spec: Any, held: dict[str, str]) -> list[tuple[str, str]]:
    """Deliver what is planned, settle, and say what was sent."""
    destination = ByAddress(held)
    world.deliver(spec, destination)
    return destination.got


def arrives(world: Any, spec: Any) -> dict[str, str]:
    """Ada becomes a member and is sent; returns what the destination holds."""
    held: dict[str, str] = {}
    world.person("ada")
    world.send_off(spec)
    goes(world, spec, held)
    return held


def test_an_address_that_opted_out_is_left_and_the_other_taken_in_one_plan(
    world: Any, activation: Any
) -> None:
    """Two plans for it made what is sent depend on how often was planned."""
    world.person("ada")
    world.email("ada", "second@example.test", rank=2)
    world.consent("second@example.test", "opt_in")
    spec = activation()
    held: dict[str, str] = {}
    world.send_off(spec)
    goes(world, spec, held)
    world.consent("ada@example.test", "opt_out")

    world.send_off(spec)

    assert world.planned()[1:] == [
        ("ada", "remove", "consent_withdrawn"),
        ("ada", "add", "consent_given"),
    ]
    world.send_off(spec)
    assert len(world.planned()) == 3
    assert goes(world, spec, held) == [
        ("remove", "ada@example.test"),
        ("add", "second@example.test"),
    ]
    assert held == {"second@example.test": "ada"}
    world.send_off(spec)
    assert len(world.planned()) == 3


def test_a_changed_address_is_removed_where_people_are_known_by_it(
    world: Any, to_hubspot: Any
) -> None:
    """An update of another address leaves the earlier one in the audience for good."""
    held = arrives(world, to_hubspot)
    world.moves("ada", "new@example.test", consent="opt_in")
    world.send_off(to_hubspot)

    assert goes(world, to_hubspot, held) == [
        ("remove", "ada@example.test"),
        ("add", "new@example.test"),
    ]
    world.worth("ada", 900)
    world.send_off(to_hubspot)
    assert goes(world, to_hubspot, held) == [("update", "new@example.test")]


def test_a_changed_address_is_an_update_where_people_are_known_by_our_id(
    world: Any, activation: Any
) -> None:
    world.person("ada")
    spec = activation()
    world.send_off(spec)
    goes(world, spec, {})
    world.moves("ada", "new@example.test", consent="opt_in")
    world.send_off(spec)

    assert goes(world, spec, {}) == [("update", "new@example.test")]


def test_an_outage_does_not_keep_an_address_that_opted_out(
    world: Any, activation: Any
) -> None:
    """What is added later of the same person takes another address away from nobody."""
    world.person("ada")
    spec = activation()
    held: dict[str, str] = {}
    world.send_off(spec)
    goes(world, spec, held)
    world.leaves("ada")
    world.send_off(spec)
    world.moves("ada", "new@example.test", consent="opt_in")
    world.enters("ada")
    world.send_off(spec)

    assert goes(world, spec, held) == [
        ("remove", "ada@example.test"),
        ("add", "new@example.test"),
    ]


def test_a_moved_person_counts_once_for_the_caps(world: Any, activation: Any) -> None:
    spec = activation(destination=HUBSPOT, caps={"max_rows": 1})
    world.person("ada")
    world.send_off(spec)
    goes(world, spec, {})
    world.moves("ada", "new@example.test", consent="opt_in")

    assert world.plan(spec).held == 0
    assert [operation for _, operation, _ in world.planned()] == [
        "add",
        "remove",
        "add",
    ]


def test_of_a_held_plan_the_removal_of_an_opted_out_address_leaves(
    world: Any, activation: Any
) -> None:
    spec = activation(caps={"max_rows": 1})
    world.person("ada")
    world.send_off(spec)
    held: dict[str, str] = {}
    goes(world, spec, held)
    world.email("ada", "second@example.test", rank=2)
    world.consent("second@example.test", "opt_in")
    world.consent("ada@example.test", "opt_out")
    world.person("bob")

    planned = world.plan(spec)
    world.hand_over()

    assert (planned.held, planned.removes, planned.adds) == (2, 1, 0)
    assert goes(world, spec, held) == [("remove", "ada@example.test")]
    world.plan_released(spec, 2)
    world.hand_over()
    goes(world, spec, held)
    assert held == {"second@example.test": "ada", "bob@example.test": "bob"}


def test_a_template_that_knows_people_by_a_field_can_remove_them() -> None:
    with pytest.raises(ValueError, match="known_by: what was sent under an earlier"):
        HttpTemplate.model_validate(
            {
                "name": "list",
                "label": "List",
                "description": "…",
                "documentation": "…",
                "honours_keys": True,
                "known_by": ["email"],
                "authorisation": {"kind": "none"},
                "requests": {
                    "add": {"operations": ["add"], "url": "http://x", "body": {}}
                },
            }
        )


class Failing(ByAddress):
    """A destination that does not take some changes, and says so."""

    def __init__(self, held: dict[str, str], operation: str, outcome: Any) -> None:
        super().__init__(held)
        self.operation, self.outcome = operation, outcome

    def answer(self, batch: Batch) -> list[Reply]:
        (change,) = batch.changes
        if change.operation != self.operation:
            return super().answer(batch)
        return [Reply(change.idempotency_key, self.outcome, "no", reached=False)]


def test_a_removal_that_was_given_up_can_be_replayed_after_the_add(
    world: Any, to_hubspot: Any
) -> None:
    """Its own plan's add overtook it: an opted-out address could never be removed."""
    held = arrives(world, to_hubspot)
    world.email("ada", "second@example.test", rank=2)
    world.consent("second@example.test", "opt_in")
    world.consent("ada@example.test", "opt_out")
    world.send_off(to_hubspot)
    fails = Failing(held, "remove", "rejected")
    deliver(world.outbox, to_hubspot, fails, at=AS_OF, budget_seconds=5)
    assert set(held) == {"ada@example.test", "second@example.test"}
    [(dead,)] = world.waiting("select sequence from outbox where state = 'dead'")

    done = replay(world.outbox, [dead], AS_OF)
    goes(world, to_hubspot, held)

    assert done.replayed == (dead,)
    assert held == {"second@example.test": "ada"}


def test_a_replayed_removal_takes_an_address_from_nobody_who_has_it_now(
    world: Any, to_hubspot: Any
) -> None:
    held = arrives(world, to_hubspot)
    world.leaves("ada")
    world.send_off(to_hubspot)
    fails = Failing(held, "remove", "rejected")
    deliver(world.outbox, to_hubspot, fails, at=AS_OF, budget_seconds=5)
    world.person("bob", email="ada@example.test")
    world.send_off(to_hubspot)
    goes(world, to_hubspot, held)
    [(dead,)] = world.waiting("select sequence from outbox where state = 'dead'")

    assert replay(world.outbox, [dead], AS_OF).overtaken == (dead,)


def test_what_was_removed_is_not_removed_again_from_whoever_has_it_now(
    world: Any, to_hubspot: Any
) -> None:
    held = arrives(world, to_hubspot)
    world.moves("ada", "new@example.test", consent="opt_in")
    world.send_off(to_hubspot)
    down = Failing(held, "add", "unavailable")
    deliver(world.outbox, to_hubspot, down, at=AS_OF, budget_seconds=0.5)
    assert down.got == [("remove", "ada@example.test")]
    world.wakes()
    world.person("bob", email="ada@example.test")
    world.send_off(to_hubspot)
    world.leaves("ada")
    world.send_off(to_hubspot)

    goes(world, to_hubspot, held)

    assert held == {"ada@example.test": "bob"}


@pytest.mark.parametrize(
    ("operations", "planned"),
    [
        (["update", "remove"], [("ada", "update", "changed")]),
        (["add", "update"], [("ada", "update", "changed")]),
        (["add"], []),
    ],
)
def test_who_leaves_out_an_operation_gets_no_half_of_a_pair(
    world: Any,
    activation: Any,
    to_hubspot: Any,
    operations: list[str],
    planned: list[tuple[str, str, str]],
) -> None:
    """A removal without its add empties an audience, and no cap counts it."""
    world.person("ada")
    world.send_off(to_hubspot)
    goes(world, to_hubspot, {})
    world.moves("ada", "new@example.test", consent="opt_in")
    world.send_off(activation(destination=HUBSPOT, operations=operations))

    assert world.planned()[1:] == planned


ADDRESSES = ("one@example.test", "two@example.test", "three@example.test")
happenings = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "worth", "yes", "no", "move", "deliver"]),
        st.sampled_from(ADDRESSES),
        st.integers(1, 3),
    ),
    max_size=9,
)


@HISTORIES
@given(happenings)
@example(
    [
        ("move", ADDRESSES[0], 1),
        ("deliver", ADDRESSES[0], 1),
        ("no", ADDRESSES[0], 1),
        ("move", ADDRESSES[1], 1),
        ("move", ADDRESSES[2], 1),
    ]
)
def test_after_any_history_and_outage_it_holds_the_one_address_that_it_may(
    anew: Any,
    to_hubspot: Any,
    history: list[tuple[str, str, int]],
) -> None:
    """Every step is planned; delivered only now and then, as when it is down."""
    with anew() as fresh:
        held: dict[str, str] = {}
        fresh.person("ada", email=None)
        for address in ADDRESSES:
            fresh.consent(address, "opt_in")
        agreed, now, member = set(ADDRESSES), None, True
        for action, address, number in [*history, ("deliver", "", 0)]:
            if action == "leave":
                fresh.leaves("ada")
                member = False
            elif action == "enter":
                fresh.leaves("ada")
                fresh.enters("ada")
                member = True
            elif action == "worth":
                fresh.worth("ada", number)
            elif action in ("yes", "no"):
                fresh.consent(address, {"yes": "opt_in", "no": "opt_out"}[action])
                (agreed.add if action == "yes" else agreed.discard)(address)
            elif action == "move":
                fresh.moves("ada", address)
                now = address
            fresh.send_off(to_hubspot)
            if action == "deliver":
                goes(fresh, to_hubspot, held)
        assert set(held) == ({now} & agreed if member else set())
