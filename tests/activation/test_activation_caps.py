"""Contact points, modes, caps and dry runs of a plan."""

import datetime as dt
from typing import Any

import pytest

from cdp_assets.activation import caps
from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.rehearsal import MASK, rehearse
from cdp_assets.activation.settlement import settle
from cdp_assets.activation.spec import check
from cdp_assets.declarations import DeclarationError
from cdp_assets.digests import digests
from cdp_assets.warehouse import transaction
from tests.activation.waiting import Accepting

AS_OF = dt.datetime(2026, 6, 1, 12)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def run(world: Any) -> Any:
    """Plans, hands over, delivers and settles; what arrived is in ``got``."""
    destination = Accepting()
    # Somebody of the destination's own.
    destination.holds["stranger"] = "theirs"

    def go(spec: Any, at: dt.datetime = AS_OF) -> Accepting:
        destination.got.clear()
        world.plan(spec, at)
        world.hand_over()
        deliver(world.outbox, spec, destination, at=at, budget_seconds=5)
        with transaction(world.connection):
            settle(world.connection, world.outbox)
        return destination

    return go


def test_the_first_contact_point_that_consented_is_taken(
    world: Any, run: Any, activation: Any
) -> None:
    world.person("ada", email=None)
    for rank, (address, consent) in enumerate(
        [
            ("silent@example.test", None),
            ("refused@example.test", "opt_out"),
            ("yes@example.test", "opt_in"),
            ("also@example.test", "opt_in"),
        ]
    ):
        world.email("ada", address, rank=rank)
        if consent:
            world.consent(address, consent)
    spec = activation()

    assert '"email":"yes@example.test"' in run(spec).holds["ada"]

    world.consent("yes@example.test", "opt_out")
    destination = run(spec)
    assert destination.got == [("remove", "ada"), ("add", "ada")]
    assert '"email":"also@example.test"' in destination.holds["ada"]
    world.consent("also@example.test", "opt_out")
    assert run(spec).got == [("remove", "ada")]


def test_an_activation_may_prefer_the_contact_points_of_a_source(
    world: Any, run: Any, activation: Any
) -> None:
    world.person("ada", email=None)
    for rank, stream in enumerate(["crm_contact", "shop_customer", "email_subscriber"]):
        address = f"{stream}@example.test"
        world.email("ada", address, rank=rank)
        world.consent(address, "opt_in")
    world.connection.execute(
        "alter table unified.unified_contact_point_email "
        "add column source_record_id varchar"
    )
    world.connection.execute(
        "update unified.unified_contact_point_email "
        "set source_record_id = split_part(email_address, '@', 1) || ':1'"
    )
    spec = activation(contact_sources=["shop_customer", "crm_contact"])

    assert "shop_customer@" in run(spec).holds["ada"]

    world.consent("shop_customer@example.test", "opt_out")
    # The destination may know her by the address: it is taken back before another is
    # told.
    destination = run(spec)
    assert destination.got == [("remove", "ada"), ("add", "ada")]
    assert "crm_contact@" in destination.holds["ada"]
    # One that is not listed comes last, and is better than none.
    world.consent("crm_contact@example.test", "opt_out")
    run(spec)
    assert "email_subscriber@" in run(spec).holds["ada"]


def test_a_source_that_is_no_stream_is_refused(activation: Any) -> None:
    columns = {"profile": {"first_name": "varchar"}}
    spec = activation(
        contact_sources=["shop_custmer"], mapping={"n": "profile.first_name"}
    )
    with pytest.raises(
        DeclarationError,
        match=r"welcome\.yaml: contact_sources: .*did you mean 'shop_customer'",
    ):
        check(spec, columns, {"vip"})


def test_hashed_forms_leave_instead_of_the_values(
    world: Any, run: Any, activation: Any
) -> None:
    world.person("ada", email="john_smith@gmail.com", consent=None)
    world.consent("john_smith@gmail.com", "opt_in")
    spec = activation(mapping={"em": "meta_em(contact.email_address)"})
    assert run(spec).holds["ada"] == (
        '{"em":"62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"}'
    )


def test_full_sends_everybody_again_once_in_each_period(
    world: Any, run: Any, activation: Any
) -> None:
    world.person("ada")
    world.person("bob")
    world.person("cy", consent=None)
    spec = activation(mode="full", full_every="1 day")
    assert run(spec).got == [("add", "ada"), ("add", "bob")]
    assert run(spec, AS_OF + HOUR).got == []
    world.worth("bob", 900)
    assert run(spec, AS_OF + 2 * HOUR).got == [("update", "bob")]

    # A new day, planned twice: the second time there is nothing left.
    assert run(spec, AS_OF + 12 * HOUR).got == [("update", "ada"), ("update", "bob")]
    assert run(spec, AS_OF + 12 * HOUR).got == []
    assert {key for (key,) in world.waiting("select idempotency_key from outbox")} == {
        row[0]
        for row in world.connection.execute(
            "select idempotency_key from activation.planned"
        ).fetchall()
    }


def test_a_plan_of_too_many_rows_is_held_until_it_is_released(
    world: Any, run: Any, activation: Any
) -> None:
    for name in ("ada", "bob", "cy"):
        world.person(name)
    spec = activation(caps={"max_rows": 2})

    assert run(spec).got == []

    (held,) = caps.held_plans(world.connection)
    assert (held.rows, held.reason) == (3, "3 changes, above max_rows 2")
    assert world.plan(spec).held == 3
    released = world.plan_released(spec, most=3)
    assert (released.planned, released.held) == (3, 0)
    assert caps.held_plans(world.connection) == []
    assert world.plan(spec).planned == 0


def test_a_release_is_for_the_plan_that_was_looked_at(
    world: Any, activation: Any
) -> None:
    for name in ("ada", "bob", "cy"):
        world.person(name)
    spec = activation(caps={"max_rows": 1})
    world.plan(spec)
    world.person("dee")

    assert world.plan_released(spec, most=3).held == 4


def test_a_share_of_change_holds_but_not_the_first_plan(
    world: Any, run: Any, activation: Any
) -> None:
    people = [f"p{number}" for number in range(10)]
    for name in people:
        world.person(name)
    spec = activation(caps={"max_share_changed": 0.2})
    assert len(run(spec).got) == 10
    for name in people[:2]:
        world.leaves(name)
    assert run(spec).got == [("remove", "p0"), ("remove", "p1")]

    for name in people[2:4]:
        world.leaves(name)

    assert run(spec).got == []
    (held,) = caps.held_plans(world.connection)
    assert held.reason == (
        "2 changes are 25.0% of 8 people, above max_share_changed 20.0%"
    )
    # Those who left are still owed their removal when they are fewer again.
    world.enters("p3")
    assert run(spec).got == [("remove", "p2")]
    assert caps.held_plans(world.connection) == []


def test_a_withdrawn_consent_leaves_while_the_rest_is_held(
    world: Any, run: Any, activation: Any
) -> None:
    """Nobody who said no waits for an operator."""
    for name in ("ada", "bob"):
        world.person(name)
    spec = activation(caps={"max_rows": 2})
    run(spec)
    world.consent("ada@example.test", "opt_out")
    for name in ("cy", "dee", "eve"):
        world.person(name)

    assert run(spec).got == [("remove", "ada")]
    assert [each.rows for each in caps.held_plans(world.connection)] == [3]


def test_who_left_and_then_said_no_does_not_wait_for_a_release(
    world: Any, run: Any, activation: Any
) -> None:
    for name in ("ada", "bob", "cy"):
        world.person(name)
    run(activation())
    spec = activation(caps={"max_rows": 1})
    for name in ("ada", "bob", "cy"):
        world.leaves(name)
    assert run(spec).got == []

    world.consent("ada@example.test", "opt_out")

    assert run(spec).got == [("remove", "ada")]
    assert [each.rows for each in caps.held_plans(world.connection)] == [2]


def test_only_what_we_sent_is_ever_removed(
    world: Any, run: Any, activation: Any
) -> None:
    """Neither the destination's own people nor those whose message never left."""
    world.person("ada")
    world.person("bob", consent=None)
    world.person("cy", consent="opt_out")
    spec = activation()
    destination = run(spec)
    for name in ("ada", "bob", "cy"):
        world.leaves(name)

    assert run(spec).got == [("remove", "ada")]
    assert run(activation(mode="full"), AS_OF + 24 * HOUR).got == []
    assert destination.holds == {"stranger": "theirs"}


def everything(world: Any) -> dict[str, object]:
    found: dict[str, object] = dict(
        digests(
            world.connection,
            ["activation", "governance", "segments", "unified", "dmo", "ops"],
        )
    )
    found["outbox"] = world.waiting("select * from outbox order by 1")
    found["receipt"] = world.waiting("select * from receipt order by 1")
    return found


def test_a_dry_run_shows_the_plan_and_changes_nothing(
    world: Any, run: Any, activation: Any
) -> None:
    for name in ("ada", "bob"):
        world.person(name)
    spec = activation(caps={"max_rows": 2})
    run(spec)
    world.worth("ada", 900)
    world.leaves("bob")
    world.person("cy")
    world.person("dee", consent=None)
    world.person("eve", consent="opt_out")
    world.person("fay", email=None)
    # An outcome that was not settled yet is taken up, and put back, too.
    world.connection.execute("update activation.sent_state set outcome = 'pending'")
    before = everything(world)

    found = rehearse(world.connection, spec, world.outbox, AS_OF)

    assert everything(world) == before
    assert found.members == 5
    assert found.withheld == {
        "no consent row": 1,
        "no usable contact point": 1,
        "opted out": 1,
    }
    assert found.held_because == "6 changes, above max_rows 2"
    shown = {row.unified_individual_id: row for row in found.rows}
    assert shown["bob"].operation == "remove"
    (field,) = shown["ada"].fields
    assert (field.name, field.old, field.new) == ("value", 100, 900)
    assert {f.name: f.new for f in shown["cy"].fields} == {
        "email": MASK,
        "first_name": MASK,
        "value": 100,
    }
    told = rehearse(world.connection, spec, world.outbox, AS_OF, show_values=True)
    assert "cy@example.test" in str(told.rows)
    assert "example.test" not in str(found)
    # And it was the plan: the same operations, then planned in earnest.
    planned = world.plan_released(spec, most=6)
    counted = {"add": planned.adds, "update": planned.updates}
    assert found.counts == counted | {"remove": planned.removes}
