"""Edges: a message when a condition becomes true, once, whoever people become."""

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse
from tests.data_actions.people import AS_OF, People

HOUR = dt.timedelta(hours=1)


def test_a_condition_that_stays_true_is_told_once(people: Any, action: Any) -> None:
    people.record("r1", "ada", 12)
    people.look(action())
    people.record("r1", "ada", 99)
    people.look(action())
    assert people.told() == ["ada"]


def test_a_condition_that_becomes_true_again_is_told_again_under_a_new_key(
    people: Any, action: Any
) -> None:
    for worth in (12, 3, 12):
        people.record("r1", "ada", worth)
        people.look(action())
    assert people.told() == ["ada", "ada"]
    assert people.ask("select count(distinct idempotency_key) from activation.planned")[
        0
    ] == (2,)


def test_the_first_look_takes_the_present_as_given(people: Any, action: Any) -> None:
    """Or a new action would write to everybody it was ever true of."""
    hold = action(on_first_run="hold")
    people.record("r1", "ada", 12)
    people.record("r2", "bob", 3)
    assert people.look(hold).taken_as_given
    people.record("r2", "bob", 30)
    people.look(hold)
    assert people.told() == ["bob"]


@pytest.mark.parametrize("first", ["hold", "fire"])
def test_another_condition_takes_the_present_as_given(
    people: Any, action: Any, first: str
) -> None:
    """The customers did nothing: somebody changed a file."""
    people.record("r1", "ada", 5)
    people.look(action(on_first_run=first))
    easier = action(on_first_run=first, when="lifetime_value.lifetime_value >= 4")
    assert people.look(easier).taken_as_given
    people.record("r2", "bob", 5)
    people.look(easier)
    assert people.told() == ["bob"]


def test_a_merge_with_somebody_it_was_true_of_is_no_edge(
    people: Any, action: Any
) -> None:
    people.record("r1", "ada", 12)
    people.record("r2", "bob", 3)
    people.look(action())
    people.record("r1", "bob", 12)
    people.look(action())
    assert people.told() == ["ada"]


def test_a_merge_that_makes_it_true_for_the_first_time_is_told(
    people: Any, action: Any
) -> None:
    """Two small customers who are one big one: nobody knew, and now it is so."""
    people.record("r1", "ada", 6)
    people.record("r2", "bob", 6)
    people.look(action())
    people.record("r2", "ada", 6)
    people.look(action())
    assert people.told() == ["ada"]


def test_a_split_is_no_edge_for_any_part(people: Any, action: Any) -> None:
    people.record("r1", "ada", 12)
    people.record("r2", "ada", 20)
    people.look(action())
    people.record("r2", "eve", 20)
    people.look(action())
    assert people.told() == ["ada"]
    # A part of which it is no longer true starts afresh.
    people.record("r2", "eve", 1)
    people.look(action())
    people.record("r2", "eve", 20)
    people.look(action())
    assert people.told() == ["ada", "eve"]


def test_a_cool_down_outlives_a_merge(people: Any, action: Any) -> None:
    calm = action(cool_down="6 hours")
    people.record("r1", "ada", 12)
    people.record("r2", "bob", 3)
    people.look(calm)
    people.record("r1", "ada", 3)
    people.look(calm, AS_OF + HOUR)
    people.record("r1", "bob", 12)
    assert people.look(calm, AS_OF + 2 * HOUR).cooling_down == 1
    assert people.told() == ["ada"]


def test_who_is_gone_is_forgotten(people: Any, action: Any) -> None:
    people.record("r1", "ada", 12)
    people.look(action())
    del people.held_by["r1"]
    people.look(action())
    assert people.ask("from activation.action_state") == []


def test_previous_values_are_those_of_the_last_look(people: Any, action: Any) -> None:
    spec = action(
        payload={"value": "lifetime_value.lifetime_value"}, previous=["value"]
    )
    people.record("r1", "ada", 2)
    people.look(spec)
    people.record("r1", "ada", 7)
    people.look(spec)
    people.record("r1", "ada", 31)
    people.look(spec)
    ((payload,),) = people.ask("select payload::varchar from activation.planned")
    assert payload == '{"value":31.00,"previous_value":7.00}'
    assert people.ask(
        "select field, data_type from activation.target_field order by ordinal"
    ) == [("value", "DECIMAL(18,2)"), ("previous_value", "DECIMAL(18,2)")]


def test_membership_may_be_asked_for_and_denied(people: Any, action: Any) -> None:
    """Not being a member is false and not unknown, or `not` would find nobody."""
    people.record("r1", "ada")
    people.record("r2", "bob")
    people.connection.execute(
        "insert into segments.membership values "
        "('vip', 'ada', ?, null, 1), ('vip', 'bob', ?, ?, 1)",
        [AS_OF, AS_OF, AS_OF],
    )
    people.look(action(when="segment.vip", payload={"id": "profile.first_name"}))
    people.look(
        action(
            name="other", when="not segment.vip", payload={"id": "profile.first_name"}
        )
    )
    assert people.told() == ["ada", "bob"]


moves = st.one_of(
    st.tuples(st.just("worth"), st.integers(0, 4), st.integers(0, 14)),
    st.tuples(st.just("merge"), st.integers(0, 4), st.integers(0, 4)),
    st.tuples(st.just("part"), st.integers(0, 4), st.just(0)),
    st.tuples(st.just("move"), st.integers(0, 4), st.integers(0, 4)),
)
waves = st.lists(
    st.tuples(st.lists(moves, max_size=4), st.integers(1, 5), st.booleans()),
    min_size=1,
    max_size=8,
)


@given(waves=waves, calm=st.sampled_from([None, 3]))
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_random_waves_tell_what_an_oracle_tells(
    action: Any, waves: list[Any], calm: int | None
) -> None:
    """The oracle remembers by record what was true of whoever it belonged to.

    A wave may be killed after planning and before the hand-over, and looks twice.
    """
    cool = {"cool_down": f"{calm} hours"} if calm else {}
    spec = action(**cool)
    with (
        tempfile.TemporaryDirectory() as folder,
        Warehouse(Paths(Path(folder)), wait_seconds=10).writing("an example") as opened,
    ):
        people = People(Paths(Path(folder)), opened)
        for number in range(5):
            people.record(f"r{number}", f"p{number}", 3 * number)
        was_true = dict.fromkeys(people.held_by, False)
        told_at: dict[str, dt.datetime] = {}
        now, expected, born = AS_OF, [], 0
        for changes, hours, is_killed in waves:
            now += hours * HOUR
            for kind, one, other in changes:
                born += 1
                change(people, kind, f"r{one}", other, f"new{born}")
            expected += oracle(people, was_true, told_at, now, calm)
            people.publish()
            people.plan(spec, now)
            if not is_killed:
                people.hand_over()
            assert people.plan(spec, now).planned == 0
        people.hand_over()
        assert people.told() == expected
        keys = people.waiting(
            "select count(*), count(distinct idempotency_key) from outbox"
        )
        assert keys == [(len(expected), len(expected))]


def change(people: Any, kind: str, record: str, other: int, new: str) -> None:
    holder = people.held_by[record]
    held = [r for r, p in people.held_by.items() if p == holder]
    target = people.held_by[f"r{other % 5}"]
    if kind == "worth":
        people.worth[record] = other
    elif kind == "merge":
        for each in held:
            people.held_by[each] = target
    elif kind == "part" and len(held) > 1:
        people.held_by[record] = new
    elif kind == "move" and len(held) > 1:
        people.held_by[record] = target


def oracle(
    people: Any,
    was_true: dict[str, bool],
    told_at: dict[str, dt.datetime],
    now: dt.datetime,
    calm: int | None,
) -> list[str]:
    """Who is told now, in the order of ids."""
    told = []
    for person in sorted(set(people.held_by.values())):
        records = [r for r, p in people.held_by.items() if p == person]
        is_true = sum(people.worth[r] for r in records) >= 10
        last = max((told_at[r] for r in records if r in told_at), default=None)
        is_edge = is_true and not any(was_true[r] for r in records)
        is_told = is_edge and not (calm and last and now - last < calm * HOUR)
        if is_told:
            told.append(person)
            last = now
        for record in records:
            was_true[record] = is_true
            if last is not None:
                told_at[record] = last
    return told
