"""Membership through merges and splits, and its history against a plain rebuild."""

import datetime as dt
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.segments.spec import SegmentSpec

DAY_1 = dt.datetime(2026, 6, 1)
VALUE = "lifetime_value.lifetime_value"


def test_a_merge_moves_nobody_in_segments_that_look_at_each_other(
    world: Any, segment: Any
) -> None:
    """Ada becomes bob; the nested segment and the limited one must not notice."""
    vip = segment()
    nested = segment(name="nested", condition="segment.vip")
    top = segment(name="top", limit={"top": 1, "highest": VALUE})
    specs = (vip, nested, top)
    world.person("ada", 200, records=("crm:1",))
    world.person("bob", 50, records=("crm:2",))
    world.person("zoe", 200, records=("crm:3",))
    world.update(*specs)
    assert world.stays("top") == [("ada", 1, None)]

    for gone in ("ada", "bob"):
        world.vanishes(gone)
    world.person("bob", 200, records=("crm:1", "crm:2"))
    done = world.update(*specs)

    assert {(each.entered, each.left, each.carried) for each in done.values()} == {
        (0, 0, 1)
    }
    # bob and zoe tie; by their ids zoe would not be first, by ada's record neither.
    assert world.stays("top") == [("bob", 1, None)]
    assert world.stays("nested") == [("bob", 1, None), ("zoe", 1, None)]


def test_a_tie_goes_by_record_so_that_a_new_id_keeps_the_place(
    world: Any, segment: Any
) -> None:
    """By id, ada's place would go to mia when ada is called zed from now on."""
    top = segment(limit={"top": 1, "highest": VALUE})
    world.person("ada", 200, records=("crm:1",))
    world.person("mia", 200, records=("crm:2",))
    world.update(top)
    world.vanishes("ada")
    world.person("zed", 200, records=("crm:1",))

    world.update(top)

    assert world.stays() == [("zed", 1, None)]


def test_who_is_split_off_a_living_person_goes_on_as_a_member(
    world: Any, segment: Any
) -> None:
    """The larger part keeps the id, so no id is retired; the other is no newcomer."""
    spec = segment()
    world.person("bob", 300, records=("crm:1", "crm:2", "crm:3"))
    world.update(spec)
    world.vanishes("bob")
    world.person("bob", 150, records=("crm:1", "crm:2"))
    world.person("carl", 150, records=("crm:3",))
    world.person("new", 150, records=("crm:4",))

    done = world.update(spec)["vip"]

    assert (done.entered, done.left, done.carried) == (1, 0, 1)
    assert world.stays() == [("bob", 1, None), ("carl", 1, None), ("new", 2, None)]


def test_a_merge_that_is_undone_leaves_both_as_members(
    world: Any, segment: Any
) -> None:
    spec = segment()
    world.person("ada", 150, records=("crm:1",))
    world.update(spec)
    world.person("bob", 150, records=("crm:2", "crm:3"))
    world.update(spec)
    world.vanishes("ada")
    world.link("crm:1", "bob")
    world.update(spec)
    assert world.stays() == [("bob", 1, None)]

    world.person("ada", 150, records=("crm:1",))
    done = world.update(spec)["vip"]

    assert (done.entered, done.left, done.carried) == (0, 0, 1)
    assert world.stays() == [("ada", 1, None), ("bob", 1, None)]


def test_a_record_that_changes_hands_makes_nobody_a_member_from_of_old(
    world: Any, segment: Any
) -> None:
    """Carl was there before: what he becomes now he becomes now."""
    spec = segment()
    world.person("bob", 300, records=("crm:1", "crm:2"))
    world.person("carl", 1, records=("crm:3",))
    world.update(spec)
    world.link("crm:2", "carl")
    world.worth("carl", 150)

    world.update(spec)

    assert world.stays() == [("bob", 1, None), ("carl", 2, None)]


def test_a_merge_between_two_evaluations_is_followed_at_once(
    world: Any, segment: Any
) -> None:
    """The retired id is nobody any more: kept, it would be removed everywhere."""
    spec = segment(evaluate="every 30 days")
    world.person("ada", 150, records=("crm:1",))
    world.person("cy", 150, records=("crm:2",))
    world.update(spec)
    world.vanishes("ada")
    world.person("bob", 150, records=("crm:1",))
    world.worth("cy", 1)
    world.person("dee", 150, records=("crm:3",))

    done = world.update(spec)["vip"]

    assert (done.entered, done.left, done.carried, done.evaluated) == (0, 0, 1, False)
    assert world.stays() == [("bob", 1, None), ("cy", 1, None)]


PEOPLE = "abcdef"
waves = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from(PEOPLE), st.sampled_from([None, 50, 100, 150]), max_size=6
        ),
        # Who merges into whom that night, of those who are there.
        st.none() | st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
    ),
    min_size=2,
    max_size=6,
)


def rebuilt(worth: dict[str, int | None], heirs: dict[str, str]) -> dict[str, set[str]]:
    """Who is where, from one day's facts alone, in plain words.

    A tie goes to whoever has the first record, those taken over included.
    """
    first = {
        who: min([who, *(old for old, living in heirs.items() if living == who)])
        for who in worth
    }
    everybody = sorted(worth)
    known = {who: value or 0 for who, value in worth.items()}
    vip = {who for who in everybody if known[who] >= 100}
    top = set(sorted(vip, key=lambda who: (-known[who], first[who]))[:2])
    return {
        "vip": vip,
        "top": top,
        "nested": vip - top,
        "offer__top": top,
        "offer__vip": vip - top,
    }


def specs_of(segment: Any) -> list[SegmentSpec]:
    return [
        segment(),
        segment(name="top", limit={"top": 2, "highest": VALUE}),
        segment(name="nested", condition="segment.vip and not segment.top"),
        segment(name="offer__top", condition="segment.top"),
        segment(name="offer__vip", condition="segment.vip and not segment.offer__top"),
    ]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(waves=waves)
def test_the_history_equals_a_rebuild_from_the_facts_of_each_day(
    new_world: Any, segment: Any, waves: Any
) -> None:
    """Whoever was a member on a day, or became one of theirs since, is found there."""
    world, specs = new_world(), specs_of(segment)
    days, heirs = [], {}
    for worth, merge in waves:
        for name in PEOPLE:
            world.vanishes(name)
        if merge and merge[0] != merge[1] and not {*merge} & heirs.keys():
            lost, kept = merge
            heirs = {k: kept if v == lost else v for k, v in heirs.items()}
            heirs[lost] = kept
        facts = {who: value for who, value in worth.items() if who not in heirs}
        for name, value in facts.items():
            world.person(name, value)
        for old, living in heirs.items():
            world.link(f"crm:{old}", living)
        world.update(*specs)
        days.append((rebuilt(facts, heirs), dict(heirs)))
    for number, (members, _) in enumerate(days):
        at = DAY_1 + dt.timedelta(days=number)
        for name, expected in members.items():
            found = {
                who
                for (who,) in world.connection.execute(
                    "select unified_individual_id from segments.membership "
                    "where segment = $name and entered_at <= $at "
                    "and (left_at is null or left_at > $at)",
                    {"name": name, "at": at},
                ).fetchall()
            }
            # Rows that closed before a merge stand under the id of then.
            now = {heirs.get(who, who) for who in expected}
            assert {heirs.get(who, who) for who in found} == now
    world.close()
