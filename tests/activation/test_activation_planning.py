"""Planning: only what differs is planned, once, and only what was sent is removed."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.outbox import as_text
from cdp_assets.activation.spec import ActivationSpec, check, load_activations
from cdp_assets.declarations import DeclarationError
from cdp_assets.digests import digest
from cdp_assets.segments.spec import load_segments
from tests.activation.waiting import HISTORIES, Accepting

AS_OF = dt.datetime(2026, 6, 1, 12)
TABLES = ("activation.sent_state", "activation.planned", "activation.target_field")


@pytest.fixture
def sent(world: Any, activation: Any) -> Any:
    """Plans, hands over, delivers and settles, as a whole run does."""
    destination = Accepting()

    def run(spec: ActivationSpec | None = None, at: dt.datetime = AS_OF) -> Accepting:
        spec = spec or activation()
        destination.got.clear()
        world.plan(spec, at)
        world.hand_over()
        world.deliver(spec, destination, at)
        return destination

    return run


def test_people_who_enter_are_added_with_their_mapped_fields(
    world: Any, sent: Any
) -> None:
    world.person("ada", value=150)

    destination = sent()

    assert destination.got == [("add", "ada")]
    assert destination.holds["ada"] == (
        '{"email":"ada@example.test","first_name":"Ada","value":150.00}'
    )


def test_a_second_run_with_nothing_new_leaves_every_table_as_it_was(
    world: Any, sent: Any
) -> None:
    """Otherwise each run would send, and receipt, everything again."""
    world.person("ada")
    world.person("bob", consent=None)
    world.person("cy", consent="opt_out")
    world.person("dee", email=None)
    sent()
    before = [digest(world.connection, table) for table in TABLES]
    outbox = world.waiting("select * from outbox order by 1")
    receipts = world.waiting("select * from receipt order by 1")

    assert sent().got == []

    assert [digest(world.connection, table) for table in TABLES] == before
    assert world.waiting("select * from outbox order by 1") == outbox
    assert world.waiting("select * from receipt order by 1") == receipts
    assert len(receipts) == 4


def test_a_changed_payload_is_an_update(world: Any, sent: Any) -> None:
    world.person("ada")
    world.person("bob")
    sent()
    world.worth("ada", 900)

    assert sent().got == [("update", "ada")]


def test_a_person_who_leaves_is_removed_and_may_come_back(
    world: Any, sent: Any
) -> None:
    world.person("ada")
    sent()
    world.leaves("ada")
    assert sent().got == [("remove", "ada")]
    assert sent().got == []
    world.enters("ada")

    destination = sent()

    assert destination.got == [("add", "ada")]
    assert len(world.waiting("select distinct idempotency_key from outbox")) == 3


def test_what_was_never_sent_is_never_removed(world: Any, sent: Any) -> None:
    """A destination may hold people of its own under the same id."""
    world.person("ada", consent=None)
    world.person("bob", email=None)
    sent()
    world.leaves("ada")
    world.leaves("bob")

    assert sent().got == []
    assert world.planned() == [("ada", "add", "entered"), ("bob", "add", "entered")]


def test_a_removal_names_what_was_sent_and_is_forgotten_once_delivered(
    world: Any, sent: Any
) -> None:
    world.person("ada", value=150)
    sent()
    world.worth("ada", 900)
    world.consent("ada@example.test", "opt_out", consent_captured_source_name="phone")
    world.leaves("ada")
    sent()

    (payload,) = world.row(
        "select payload from activation.planned where operation = 'remove'"
    )
    assert '"value":150.00' in payload
    assert world.row(
        "select payload, contact_point_value from activation.sent_state"
    ) == (
        None,
        None,
    )


def test_a_merge_removes_the_loser_and_updates_the_winner(
    world: Any, sent: Any
) -> None:
    world.person("ada", value=100)
    world.person("bob", value=50)
    sent()
    world.vanishes("ada")
    world.worth("bob", 150)

    assert sent().got == [("remove", "ada"), ("update", "bob")]


def test_withdrawn_consent_removes_a_person_whom_the_destination_holds(
    world: Any, sent: Any
) -> None:
    """Not writing to them any more is half of it: the address must leave the list."""
    world.person("ada")
    sent()
    world.consent("ada@example.test", "opt_out")
    assert sent().got == [("remove", "ada")]
    assert sent().got == []
    world.worth("ada", 900)
    assert sent().got == []
    world.consent("ada@example.test", "opt_in")

    assert sent().got == [("add", "ada")]
    assert [cause for _, _, cause in world.planned()] == [
        "entered",
        "consent_withdrawn",
        "consent_given",
    ]


def test_a_withheld_change_is_planned_again_when_consent_is_given(
    world: Any, sent: Any
) -> None:
    world.person("ada", consent=None)
    assert sent().got == []
    world.worth("ada", 900)
    assert sent().got == []
    assert world.planned() == [("ada", "add", "entered")]
    world.consent("ada@example.test", "opt_in")

    assert sent().got == [("add", "ada")]
    assert sent().got == []


def test_a_person_without_contact_point_is_withheld_until_there_is_one(
    world: Any, sent: Any
) -> None:
    world.person("ada", email=None)
    sent()
    assert world.waiting("select outcome, reason, consent_record from receipt") == [
        ("withheld", "no contact point", None)
    ]
    world.email("ada", "ada@example.test")
    world.consent("ada@example.test", "opt_in")

    assert sent().got == [("add", "ada")]


def test_the_best_ranked_deliverable_contact_point_is_chosen(
    world: Any, sent: Any
) -> None:
    world.person("ada", email=None)
    world.email("ada", "bounced@example.test", rank=1, undeliverable=True)
    world.email("ada", "good@example.test", rank=2)
    world.email("ada", "worse@example.test", rank=3)
    world.consent("good@example.test", "opt_in")

    destination = sent()

    assert '"email":"good@example.test"' in destination.holds["ada"]


def test_a_new_contact_point_without_consent_of_its_own_is_not_sent(
    world: Any, sent: Any
) -> None:
    """Consent was given for an address, not for a person."""
    world.person("ada")
    sent()
    world.email("ada", "new@example.test", rank=0)

    assert sent().got == []
    world.connection.execute(
        "delete from unified.unified_contact_point_email where rank = 1"
    )
    assert sent().got == [("remove", "ada")]
    assert "new@" not in str(world.waiting("select payload from outbox"))


def test_planning_again_after_a_crash_yields_the_same_changes(
    world: Any, activation: Any
) -> None:
    """A change planned twice under two keys would be acted on twice."""
    for name in ("ada", "bob", "cy"):
        world.person(name)
    connection = world.connection
    world.plan(activation())
    first = connection.execute("select * from activation.planned order by 1").fetchall()
    connection.execute("delete from activation.planned")
    connection.execute("delete from activation.sent_state")
    world.run = 0
    world.plan(activation())

    assert (
        first
        == connection.execute("select * from activation.planned order by 1").fetchall()
    )


def test_a_warehouse_restored_from_an_old_backup_repeats_no_delivery(
    world: Any, sent: Any
) -> None:
    """The outbox knows the keys even when the warehouse has forgotten them."""
    world.person("ada")
    world.person("bob", consent=None)
    sent()
    world.connection.execute("delete from activation.planned")
    world.connection.execute("delete from activation.sent_state")

    assert sent().got == []
    assert sent().got == []
    world.worth("ada", 900)
    assert sent().got == [("update", "ada")]
    sequences = world.waiting("select sequence from outbox order by 1")
    assert sequences == [(1,), (2,), (5,)]


def test_a_deleted_outbox_is_filled_again_in_the_same_order(
    world: Any, activation: Any
) -> None:
    world.person("ada")
    world.person("bob")
    world.send_off(activation())
    before = world.waiting("select sequence, idempotency_key from outbox")
    for file in world.paths.root.glob("outbox.sqlite*"):
        file.unlink()

    assert world.hand_over().copied == 2
    assert world.waiting("select sequence, idempotency_key from outbox") == before


def test_handing_over_twice_copies_once(world: Any, activation: Any) -> None:
    world.person("ada")
    world.plan(activation())

    assert world.hand_over().copied == 1
    assert world.hand_over().copied == 0


def test_only_the_consent_of_waiting_contact_points_is_copied(
    world: Any, activation: Any
) -> None:
    """The outbox is no second place for everybody's addresses."""
    world.person("ada")
    world.consent("stranger@example.test", "opt_in")
    world.send_off(activation())

    assert world.waiting("select contact_point_value from consent") == [
        ("ada@example.test",)
    ]


def test_operations_that_an_activation_leaves_out_are_not_planned(
    world: Any, sent: Any, activation: Any
) -> None:
    spec = activation(operations=["add"])
    world.person("ada")
    sent(spec)
    world.worth("ada", 900)
    assert sent(spec).got == []
    world.leaves("ada")
    assert sent(spec).got == []
    world.enters("ada")

    assert sent(spec).got == [("add", "ada")]


def test_times_are_the_runs_and_not_the_clocks(world: Any, activation: Any) -> None:
    world.person("ada")
    world.send_off(activation())

    assert world.row("select planned_at from activation.planned") == (AS_OF,)
    assert world.waiting("select planned_at from outbox") == [(as_text(AS_OF),)]


steps = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "worth", "yes", "no", "nothing"]),
        st.sampled_from(["ada", "bob"]),
        st.integers(1, 3),
    ),
    max_size=8,
)


@HISTORIES
@given(steps)
def test_after_any_history_the_destination_holds_exactly_who_it_may(
    anew: Any,
    activation: Any,
    history: list[tuple[str, str, int]],
) -> None:
    """Deltas that drift from the truth are found by nobody until a full export."""
    with anew() as fresh:
        for name in ("ada", "bob"):
            fresh.person(name)
        destination = Accepting()
        spec = activation()
        for action, name, number in [*history, ("nothing", "ada", 0)]:
            address = f"{name}@example.test"
            if action == "leave":
                fresh.leaves(name)
            elif action == "enter":
                fresh.leaves(name)
                fresh.enters(name)
            elif action == "worth":
                fresh.worth(name, number)
            elif action in ("yes", "no"):
                fresh.consent(address, {"yes": "opt_in", "no": "opt_out"}[action])
            fresh.send_off(spec)
            deliver(fresh.outbox, spec, destination, at=AS_OF, budget_seconds=5)
            members = fresh.connection.execute(
                """
                select m.unified_individual_id, lifetime_value
                from segments.membership as m
                join insights.lifetime_value using (unified_individual_id)
                where left_at is null and (
                    select arg_max(consent_status_id, consent_captured_date_time)
                    from dmo.contact_point_consent
                    where contact_point_value
                        = m.unified_individual_id || '@example.test'
                ) = 'opt_in'
                """
            ).fetchall()
            assert {
                name: payload.split('"value":')[1].rstrip("}")
                for name, payload in destination.holds.items()
            } == {name: str(value) for name, value in members}


COLUMNS = {
    "profile": {"unified_individual_id": "varchar", "first_name": "varchar"},
    "lifetime_value": {"lifetime_value": "decimal(18,2)"},
    "run": {"as_of": "timestamp"},
}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"segment": "vip2"}, r"welcome\.yaml: segment: there is no segment 'vip2'"),
        (
            {"mapping": {"name": "profile.first_nam"}},
            r"welcome\.yaml: mapping\.name: profile has no column 'first_nam' "
            r"\(did you mean first_name",
        ),
        (
            {"mapping": {"phone": "contact.formatted_e164_phone_number"}},
            r"welcome\.yaml: mapping\.phone: contact has no column",
        ),
        (
            {"mapping": {"today": "run.as_of"}},
            r"welcome\.yaml: mapping\.today: knows no table 'run'",
        ),
    ],
)
def test_a_mapping_that_cannot_hold_names_its_file_and_field(
    activation: Any, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        check(activation(**changes), COLUMNS, {"vip"})


@pytest.mark.parametrize(
    "changes",
    [
        {"mapping": {"operation": "profile.first_name"}},
        {"mapping": {}},
        {"mapping": {"name": "(select 1)"}},
        {"destination": {"kind": "carrier pigeon"}},
        {"destination": {"kind": "file", "format": "csv", "folder": "../x"}},
        {"purpose": "all"},
        {"channel": "all"},
    ],
)
def test_an_activation_that_makes_no_sense_is_refused(
    activation: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="validation error"):
        activation(**changes)


def test_the_shipped_activations_name_shipped_segments() -> None:
    activations = load_activations()
    assert set(activations) == {
        "high_value_at_risk",
        "promotion_audience",
        "cart_abandoners",
    }
    assert {spec.segment for spec in activations.values()} <= set(load_segments())
