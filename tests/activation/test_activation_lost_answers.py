"""Answers that were lost, letters that died, at who knows people by an address."""

from typing import Any

from cdp_assets.activation.claims import claim
from cdp_assets.activation.dead_letters import replay
from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.destination_spec import BatchLimit
from cdp_assets.activation.destinations.protocol import Reply
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.receipting import Ending, finish
from cdp_assets.paths import Paths
from tests.activation.audience import (
    AS_OF,
    AUDIENCE,
    Audience,
    dead,
    goes,
    with_members,
)
from tests.activation.waiting import Accepting, Answering, asked, fill


def test_an_address_that_may_have_arrived_is_removed_when_it_opts_out(
    world: Any, to_audience: Any
) -> None:
    """An add that was tried and then withheld counted as one that never left."""
    audience = Audience()
    world.person("ada", value=1)
    goes(world, to_audience, audience, "loses answers to adds")
    world.wakes()
    world.consent("ada@example.test", "opt_out")
    goes(world, to_audience, audience)

    goes(world, to_audience, audience)

    assert audience.known == {}


def test_who_agrees_again_is_sent_where_there_is_no_update(
    world: Any, activation: Any
) -> None:
    """It may be there or not; an update that nobody takes was no answer."""
    spec = activation(operations=["add", "remove"])
    audience = Accepting()
    world.person("ada")
    world.send_off(spec)
    down = Answering()
    down.answer = lambda batch: [  # type: ignore[method-assign]
        Reply(batch.changes[0].idempotency_key, "unavailable", "cut off")
    ]
    deliver(world.outbox, spec, down, at=AS_OF, budget_seconds=0.2)
    world.wakes()
    world.consent("ada@example.test", "opt_out")
    world.send_off(spec)
    with world.outbox.connect() as connection:
        connection.execute(
            "update outbox set attempts = 1, next_attempt_at = '' where sequence = 1"
        )
    world.deliver(spec, audience)
    world.consent("ada@example.test", "opt_in")
    for _ in range(2):
        world.send_off(spec)
        world.deliver(spec, audience)

    assert set(audience.holds) == {"ada"}


def test_one_that_two_share_goes_when_it_opts_out_whoever_may_be_there(
    world: Any, to_audience: Any
) -> None:
    audience = Audience()
    world.person("bob", value=1, email="both@x.test")
    goes(world, to_audience, audience)
    world.person("ada", value=1, email="both@x.test")
    goes(world, to_audience, audience, "loses answers to adds")
    world.wakes()
    world.consent("both@x.test", "opt_out")
    goes(world, to_audience, audience)

    goes(world, to_audience, audience)

    assert audience.known == {}


def test_a_removal_that_names_what_was_sent_last_waits_under_it_too(
    world: Any, to_audience: Any
) -> None:
    """Planned with an address that never left, it took the one from before from Bob."""
    audience = Audience()
    world.person("ada", value=1, email="one@x.test")
    goes(world, to_audience, audience)
    world.moves("ada", "two@x.test", consent="opt_in")
    world.send_off(to_audience)
    with world.outbox.connect() as connection:
        # The removal is given up before it left, the add waits.
        finish(connection, [Ending(2, "dead", "refused")], "audience", AS_OF)
    world.moves("ada", "three@x.test", consent="opt_in")
    world.person("bob", value=9, email="one@x.test")
    world.send_off(to_audience)

    with world.outbox.connect() as connection:
        claims = claim(connection, to_audience.name, BatchLimit(rows=1), 10, AS_OF)

    assert [
        (row.operation, row.unified_individual_id) for one in claims for row in one.rows
    ] == [("add", "ada")]


def test_an_add_is_not_replayed_after_its_person_left(
    world: Any, to_audience: Any
) -> None:
    """Nothing was there to remove, so nothing had been tried since."""
    audience = Audience()
    world.person("ada", value=1)
    goes(world, to_audience, audience, "refuses adds")
    world.leaves("ada")
    goes(world, to_audience, audience)
    [add] = dead(world.outbox)

    assert replay(world.outbox, [add], AS_OF).overtaken == (add,)


def test_an_add_is_not_replayed_past_a_removal_that_is_under_way(
    world: Any, to_audience: Any
) -> None:
    audience = with_members(world, to_audience, "ada")
    world.person("bob", value=1)
    goes(world, to_audience, audience, "refuses adds")
    world.leaves("ada")
    world.send_off(to_audience)
    with world.outbox.connect() as connection:
        connection.execute(
            "update outbox set state = 'delivering' where operation = 'remove'"
        )
    [add] = dead(world.outbox)

    assert replay(world.outbox, [add], AS_OF).overtaken == (add,)
    assert dead(world.outbox) == [add]


def test_a_letter_named_twice_is_replayed_once(world: Any, to_audience: Any) -> None:
    audience = Audience()
    world.person("ada", value=1)
    goes(world, to_audience, audience, "refuses adds")
    [add] = dead(world.outbox)

    assert replay(world.outbox, [add, add], AS_OF).replayed == (add,)


def test_who_was_not_removed_after_all_keeps_their_number(
    world: Any, to_audience: Any
) -> None:
    """The removal was superseded by an add that never arrived: still there."""
    audience = with_members(world, to_audience, "ada", "bob")
    world.leaves("ada")
    world.send_off(to_audience)
    world.enters("ada")
    goes(world, to_audience, audience, "refuses adds")
    world.leaves("bob")

    goes(world, to_audience, audience)

    assert audience.known == {"ada@example.test": "ada", "+491": "bob"}


def test_an_empty_text_is_nobodys_number(world: Any, activation: Any) -> None:
    """All whose number is unknown were one person, and a removal named nobody."""
    numberless = activation(
        destination=AUDIENCE,
        mapping={"email": "contact.email_address", "phone": "''"},
    )
    audience = Audience()
    world.person("ada", email="both@x.test")
    world.person("bob", email="both@x.test")
    world.person("cyd")
    goes(world, numberless, audience)
    world.leaves("ada")

    assert goes(world, numberless, audience) == []
    world.leaves("cyd")
    assert goes(world, numberless, audience) == [("remove", "cyd", "cyd@example.test")]


def test_numbers_of_many_digits_are_not_rounded_to_one(
    world: Any, activation: Any
) -> None:
    spec = activation(
        destination=AUDIENCE,
        mapping={
            "email": "contact.email_address",
            "phone": "92233720368547758080::hugeint + lifetime_value.lifetime_value"
            "::integer",
        },
    )
    audience = Answering()
    world.person("ada", value=1)
    world.person("bob", value=2)
    world.send_off(spec)
    world.deliver(spec, audience)

    assert asked(
        world.outbox,
        "select count(distinct value) from held_identifier where field = 'phone'",
    ) == [(2,)]


def test_those_who_wait_for_one_hold_up_nobody_else(
    paths: Paths, to_audience: Any
) -> None:
    outbox = Outbox(paths.outbox)
    fill(outbox, ["gone"], phone="1")
    with outbox.connect() as connection:
        connection.execute("update outbox set state = 'delivered', attempts = 1")
    fill(outbox, ["gone"], operation="remove", phone="1")
    with outbox.connect() as connection:
        connection.execute(
            "update outbox set next_attempt_at = '2099-01-01T00:00:00.000000' "
            "where operation = 'remove'"
        )
    fill(outbox, range(300), phone="1")
    fill(outbox, range(300, 600), phone=None)

    result = deliver(outbox, to_audience, Answering(), at=AS_OF, budget_seconds=5)

    assert (result.status, result.delivered, result.pending) == ("waiting", 300, 301)
