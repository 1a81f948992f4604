"""Segments with times of their own: who is a member between two evaluations.

It follows from who was one at the last evaluation and who these people are now, so what
came in between must not matter: merges, splits, their undoing, or how many runs.
"""

import datetime as dt
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.segments.membership import close_missing

DAY_1 = dt.datetime(2026, 6, 1)
HOUR = dt.timedelta(hours=1)
DAILY = "every 1 day"

Partition = dict[str, str]
"""Per record, whose it is; one that is missing is gone."""


def people_are(world: Any, whose: Partition, worth: dict[str, int]) -> None:
    """These records make up these people, worth what their records are."""
    for (name,) in world.connection.execute(
        "select unified_individual_id from unified.unified_individual"
    ).fetchall():
        world.vanishes(name)
    for record, name in whose.items():
        world.link(record, name)
    for (record,) in world.connection.execute(
        "select record from identity.unified_link_individual"
    ).fetchall():
        if record not in whose:
            world.erase(record)
    for name in sorted(set(whose.values())):
        value = max(worth[record] for record, who in whose.items() if who == name)
        world.person(name, value, records=())


def open_stays(world: Any) -> list[tuple[str, dt.datetime]]:
    found: list[tuple[str, dt.datetime]] = world.connection.execute(
        "select unified_individual_id, entered_at from segments.membership "
        "where segment = 'vip' and left_at is null order by all"
    ).fetchall()
    return found


def left_at(world: Any, at: dt.datetime) -> set[str]:
    return {
        name
        for (name,) in world.connection.execute(
            "select unified_individual_id from segments.membership "
            "where segment = 'vip' and left_at = ?",
            [at],
        ).fetchall()
    }


def test_a_split_within_the_period_is_no_exit_and_no_entry(
    world: Any, segment: Any
) -> None:
    """Carl was no member till the next day, and then said to have entered anew."""
    spec = segment(evaluate=DAILY)
    worth = {"crm:1": 150, "crm:2": 150, "crm:3": 1}
    people_are(world, {"crm:1": "ada", "crm:2": "bob", "crm:3": "cy"}, worth)
    world.update(spec, at=DAY_1)
    people_are(world, {"crm:1": "bob", "crm:2": "bob", "crm:3": "cy"}, worth)
    merged = world.update(spec, at=DAY_1 + HOUR)["vip"]
    people_are(world, {"crm:1": "carl", "crm:2": "bob", "crm:3": "cy"}, worth)
    split = world.update(spec, at=DAY_1 + 2 * HOUR)["vip"]
    within = world.stays()
    due = world.update(spec, at=DAY_1 + 24 * HOUR)["vip"]

    assert within == world.stays() == [("bob", 1, None), ("carl", 1, None)]
    for done in (merged, split, due):
        assert (done.entered, done.left) == (0, 0)
    assert (merged.carried, split.carried, due.carried) == (1, 1, 0)


def test_who_was_taken_for_a_member_is_none_when_that_is_undone(
    world: Any, segment: Any
) -> None:
    """Ada never satisfied; she is no member for having been taken for bob."""
    spec = segment(evaluate=DAILY)
    apart, worth = {"crm:1": "ada", "crm:2": "bob"}, {"crm:1": 1, "crm:2": 150}
    people_are(world, apart, worth)
    world.update(spec, at=DAY_1)
    people_are(world, dict.fromkeys(apart, "ada"), worth)
    world.update(spec, at=DAY_1 + HOUR)
    assert world.members() == ["ada"]
    people_are(world, apart, worth)

    done = world.update(spec, at=DAY_1 + 2 * HOUR)["vip"]

    assert (done.entered, done.left) == (0, 0)
    assert world.stays() == [("bob", 1, None)]


def test_who_was_carried_in_and_does_not_satisfy_leaves(
    world: Any, segment: Any
) -> None:
    """Carl, split off bob, and bob, who ada became, were gone without an exit."""
    spec = segment(evaluate=DAILY)
    whose = {"crm:1": "ada", "crm:2": "bob", "crm:3": "ben", "crm:4": "ben"}
    worth = {"crm:1": 150, "crm:2": 1, "crm:3": 150, "crm:4": 1}
    people_are(world, whose, worth)
    world.update(spec, at=DAY_1)
    whose |= {"crm:1": "bob", "crm:4": "carl"}
    worth["crm:1"] = 1
    people_are(world, whose, worth)
    assert world.update(spec, at=DAY_1 + HOUR)["vip"].left == 0
    assert world.members() == ["ben", "bob", "carl"]

    done = world.update(spec, at=DAY_1 + 24 * HOUR)["vip"]

    assert (done.entered, done.left, done.members) == (0, 2, 1)
    assert world.stays() == [("ben", 1, None), ("bob", 1, 2), ("carl", 1, 2)]


@pytest.mark.parametrize("merged_first", [True, False])
def test_who_is_erased_leaves_at_once_and_leaves_nobody_in_their_place(
    world: Any, segment: Any, merged_first: bool
) -> None:
    """Waiting for the next evaluation would go on sending what was erased."""
    spec = segment(evaluate="every 4 weeks")
    whose = {"crm:1": "ada", "crm:2": "bob", "crm:3": "cy"}
    worth = {"crm:1": 150, "crm:2": 1, "crm:3": 150}
    people_are(world, whose, worth)
    world.update(spec, at=DAY_1)
    if merged_first:
        whose["crm:1"] = "bob"
        people_are(world, whose, worth)
        world.update(spec, at=DAY_1 + HOUR)
        assert world.members() == ["bob", "cy"]
    del whose["crm:1"]
    people_are(world, whose, worth)

    done = world.update(spec, at=DAY_1 + 24 * HOUR)["vip"]

    assert (done.left, done.evaluated) == (1, False)
    # Who was shown as a member leaves: bob, where ada had become bob.
    left = ("bob" if merged_first else "ada", 1, 2)
    assert world.stays() == [left, ("cy", 1, None)]
    # The record comes back within the period: who left has left.
    people_are(world, whose | {"crm:1": "ada"}, worth)
    world.update(spec, at=DAY_1 + 25 * HOUR)
    assert world.stays() == [left, ("cy", 1, None)]
    assert world.connection.execute(
        "select unified_individual_id from segments.evaluated_stay"
    ).fetchall() == [("cy",)]


def test_other_times_take_effect_at_once(world: Any, segment: Any) -> None:
    """Between two evaluations membership follows from the last one, so there is one."""
    world.person("ada", 150)
    world.update(segment(), at=DAY_1)
    assert world.update(segment(evaluate=DAILY), at=DAY_1 + HOUR)["vip"].evaluated
    assert not world.update(segment(evaluate=DAILY), at=DAY_1 + HOUR)["vip"].evaluated
    assert world.update(segment(), at=DAY_1 + 2 * HOUR)["vip"].evaluated
    kept = "from segments.evaluated_stay"
    assert world.connection.execute(kept).fetchall() == []
    world.update(segment(evaluate=DAILY), at=DAY_1 + HOUR)

    assert close_missing(world.connection, set(), DAY_1 + 3 * HOUR) == 1
    assert world.connection.execute(kept).fetchall() == []


def test_a_segment_of_everybody_keeps_them(world: Any, segment: Any) -> None:
    """DuckDB dropped 122,880 new rows that followed an insert of none."""
    world.connection.execute(
        "insert into unified.unified_individual select i::varchar, null "
        "from range(150000) as t(i)"
    )
    spec = segment(condition="true", evaluate=DAILY)

    for done in (world.update(spec, at=DAY_1), world.update(spec, at=DAY_1 + HOUR)):
        assert done["vip"].members == 150_000
    assert len(world.members()) == 150_000


RECORDS = [f"crm:{number}" for number in range(5)]
IDS = "abcdef"
partitions = st.dictionaries(
    st.sampled_from(RECORDS), st.sampled_from(IDS), min_size=1, max_size=5
)
whole = st.fixed_dictionaries(
    dict.fromkeys(RECORDS, st.sampled_from(IDS))  # type: ignore[arg-type]
)
worths = st.fixed_dictionaries(dict.fromkeys(RECORDS, st.sampled_from([50, 150])))
PROPERTY = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@PROPERTY
@given(first=whole, way=st.lists(whole, max_size=3), last=partitions, worth=worths)
def test_what_came_in_between_does_not_matter(
    new_world: Any, segment: Any, first: Any, way: Any, last: Any, worth: Any
) -> None:
    """The same evaluation and the same people: the same members since the same day."""
    spec, nested = segment(evaluate=DAILY), segment(name="in", condition="segment.vip")
    found = []
    for between in (way, []):
        world = new_world()
        for hour, whose in enumerate([first, *between, last]):
            people_are(world, whose, worth)
            world.update(spec, nested, at=DAY_1 + hour * HOUR)
        found.append((open_stays(world), world.members("in")))
        world.close()
    assert found[0] == found[1]


@PROPERTY
@given(
    waves=st.lists(st.tuples(whole, worths, st.booleans()), min_size=2, max_size=5).map(
        lambda found: [(*found[0][:2], True), *found[1:]]
    )
)
def test_nobody_enters_or_leaves_but_for_the_condition(
    new_world: Any, segment: Any, waves: Any
) -> None:
    """Whatever the order of merges, splits and evaluations.

    Between evaluations nobody enters, and somebody is a member by the records of one.
    Whoever was shown as a member still is, has left, or somebody who has a record of
    theirs is one in their place. At an evaluation members are who satisfy; who
    satisfies and holds a record of a member goes on, unless they were there before and
    no member; and whoever leaves did not satisfy.
    """
    world, spec = new_world(), segment(evaluate=DAILY)
    then: Partition = {}
    members: dict[str, dt.datetime] = {}
    shown: set[str] = set()
    since: list[Partition] = []  # Whose records were at the evaluation and after it.
    at = DAY_1
    for whose, worth, due in waves:
        at = at + 24 * HOUR if due else at + HOUR
        people_are(world, whose, worth)
        done = world.update(spec, at=at)["vip"]
        now = {
            name: {then[record] for record, who in whose.items() if who == name if then}
            for name in set(whose.values())
        }
        # By definition, in plain words: who goes on as whom.
        goes_on: dict[str, dt.datetime] = {}
        for name, sources in now.items():
            entries = [
                members[source]
                for source in sources & members.keys()
                if source == name or source not in now or name not in then.values()
            ]
            if name in members:
                entries.append(members[name])
            if entries:
                goes_on[name] = min(entries)
        assert done.evaluated == due
        may_go_on = set(goes_on)
        if due:
            vip = {
                name
                for name in now
                if max(worth[r] for r, who in whose.items() if who == name) >= 100
            }
            entered = vip - goes_on.keys()
            assert done.entered == len(entered)
            goes_on = {name: goes_on.get(name, at) for name in vip}
        else:
            assert done.entered == 0
        assert dict(open_stays(world)) == goes_on
        left = left_at(world, at)
        assert done.left == len(left)
        for name in shown - goes_on.keys():
            theirs = {r for each in since for r, who in each.items() if who == name}
            carried = {whose[record] for record in theirs} & goes_on.keys()
            # Who could go on and does not satisfy has nobody in their place.
            assert name in left or (carried and name not in may_go_on)
        assert left <= shown - goes_on.keys()
        shown, since = set(goes_on), [*([] if due else since), whose]
        if due:
            then, members = dict(whose), goes_on
    world.close()
