"""Resolving what changed must leave what resolving everybody leaves."""

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.identity.rules import RULESET, Ruleset
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse
from tests.identity.population import (
    PUBLISHED,
    make_changes,
    plan_changes,
    populate,
)

# Everything that a run publishes, but for the run numbers of what a full run, made
# once more, would leave alone anyway.
COMPARED = (*PUBLISHED, "change", "matchable_individual", "matchable_account")


def cramped(largest_group: int = 300) -> Ruleset:
    """The shipped ruleset with limits so low that a dozen records cross them."""
    content = copy.deepcopy(yaml.safe_load(RULESET.read_text(encoding="utf-8")))
    for name in ("individual", "account"):
        content[name]["gates"] |= {"consolidation_change": 1, "ids_changed": 1}
    people = content["individual"]
    people["gates"] |= {"share_in_conflict": 1, "pairs_of_one_value": 10}
    for cap in people["shared"].values():
        cap |= {"records": 3, "names": 2, "records_in_any_case": 5}
    people["match_rules"]["fuzzy_name_and_city"]["at_most"] = 3
    for block in people["model"]["blocking"]:
        if "at_most" in block:
            block["at_most"] = 3
    people["refinement"]["largest_group"] = largest_group
    return Ruleset.model_validate(content)


CRAMPED = cramped()
RECORDS = 16

PERSON = st.fixed_dictionaries(
    {
        "first": st.sampled_from(
            ["Grace", "Vincent", "Ada", "Bill", "William", "Lena", "Lea", "G", None]
        ),
        "last": st.sampled_from(["Hopper", "Byron", "Hoper", "Turing", None]),
        "emails": st.lists(
            st.sampled_from(["a@b.org", "ada85@b.org", "ada851@b.org", "info@b.org"]),
            max_size=2,
            unique=True,
        ),
        "born": st.sampled_from(["1971-03-04", "1971-04-03", "1999-12-31", None]),
        "suffix": st.sampled_from(["jr", None, None]),
        "street": st.sampled_from(["Elm Street 5", "Elm Str 5", "Oak Road 9"]),
        "city": st.sampled_from(["Bonn", "Berlin"]),
        "postal": st.sampled_from(["53111", "10115"]),
    },
    optional={
        "phone": st.sampled_from(["+491", "+492", "+493"]),
        "number": st.sampled_from(["1", "2"]),
    },
)
# What becomes of some records: what they say now, or nothing where they are deleted.
BATCH = st.dictionaries(
    st.integers(0, RECORDS - 1), st.one_of(st.none(), PERSON), min_size=1, max_size=5
)
# A record and its successor are decided the same from an even number, different from an
# odd one, so that no decisions contradict; or the decision is undone.
DECISIONS = st.dictionaries(st.integers(0, RECORDS - 2), st.booleans(), max_size=2)
World = dict[int, dict[str, Any] | None]


def apply(scene: Any, batch: World) -> None:
    for number, person in batch.items():
        scene.forget(f"crm_contact:{number}")
        if person is not None:
            scene.person(f"crm_contact:{number}", **person)


def decide(scene: Any, decisions: dict[int, bool]) -> None:
    for number, holds in decisions.items():
        scene.connection.execute(
            "delete from identity.decision where decision = ?", [number]
        )
        if holds:
            scene.connection.execute(
                "insert into identity.decision by name "
                "select $number as decision, $kind as kind, $l as record_l, "
                "$r as record_r, 'ada' as decided_by, now() as decided_at",
                {
                    "number": number,
                    "kind": "different" if number % 2 else "same",
                    "l": f"crm_contact:{number}",
                    "r": f"crm_contact:{number + 1}",
                },
            )


def published(scene: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: scene.rows(f"select * from identity.{table} order by all")
        for table in COMPARED
    }


def by_name(scene: Any) -> tuple[Any, ...]:
    """People and evidence, whatever ids a history gave to records and people."""
    return (
        scene.people(),
        scene.rows(
            "select least(l.record, r.record), greatest(l.record, r.record), kind, "
            "rule, match_weight, levels, model_version from identity.evidence "
            "join identity.node as l on node_l = l.node_id "
            "join identity.node as r on node_r = r.node_id order by all"
        ),
        scene.rows("select * from identity.shared_identifier order by all"),
    )


def resolved_at_once(
    make_scene: Any, world: World, decisions: dict[int, bool], ruleset: Ruleset
) -> Any:
    with make_scene() as scene:
        apply(scene, world)
        decide(scene, decisions)
        assert scene.resolve(ruleset).status == "promoted"
        return by_name(scene)


@pytest.fixture
def make_scene(tmp_path: Path, scene_of: Any) -> Any:
    """Scenes in warehouses of their own, as many as the test needs."""
    made = itertools.count()

    def make() -> Any:
        root = tmp_path / str(next(made))
        root.mkdir()
        return scene_of(Warehouse(Paths(root)), 1)

    return make


@pytest.mark.slow
@pytest.mark.parametrize("largest_group", [300, 3])
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    start=st.lists(PERSON, min_size=8, max_size=RECORDS),
    batches=st.lists(st.tuples(BATCH, DECISIONS), min_size=1, max_size=3),
)
def test_what_changed_resolved_alone_is_what_a_full_run_finds(
    make_scene: Any,
    largest_group: int,
    start: list[dict[str, Any]],
    batches: list[tuple[World, dict[int, bool]]],
) -> None:
    """Edits, deletions, decisions, values that cross a limit, groups too large."""
    ruleset = cramped(largest_group)
    world: World = dict(enumerate(start))
    with make_scene() as scene:
        apply(scene, world)
        scene.resolve(ruleset)
        decided: dict[int, bool] = {}
        for batch, decisions in batches:
            apply(scene, batch)
            decide(scene, decisions)
            world |= batch
            decided |= decisions
            result = scene.resolve(ruleset, full=False)
            assert (result.status, result.individual.way.full) == ("promoted", False)
        left = published(scene)
        assert scene.resolve(ruleset, full=True).individual.way.full
        assert published(scene) == left
        assert by_name(scene) == resolved_at_once(make_scene, world, decided, ruleset)


@pytest.mark.slow
def test_batches_among_ten_thousand_leave_what_a_full_run_leaves(
    make_scene: Any,
) -> None:
    """Common names, homes, switchboards and shared inboxes, as real data has them."""
    assert_any_order_ends_the_same(make_scene, records=10_000, changed=600, orders=1)


@pytest.mark.long
def test_twenty_orders_among_a_hundred_thousand_end_the_same(make_scene: Any) -> None:
    """Whatever the order of arrival and the split into batches."""
    assert_any_order_ends_the_same(
        make_scene, records=100_000, changed=3_000, orders=20
    )


def assert_any_order_ends_the_same(
    make_scene: Any, *, records: int, changed: int, orders: int
) -> None:
    ends = []
    for order in range(orders + 1):
        with make_scene() as scene:
            connection = scene.connection
            populate(connection, records)
            plan_changes(connection, changed)
            if order == orders:
                make_changes(connection)
                scene.resolve()
                ends.append(digests(scene))
                continue
            scene.resolve()
            batches = 1 + order % 5 if orders > 1 else 3
            for batch in range(batches):
                make_changes(connection, batch, batches, order)
                result = scene.resolve(full=False)
                assert (result.status, result.individual.way.full) == (
                    "promoted",
                    False,
                )
            left = published(scene)
            scene.resolve(full=True)
            assert published(scene) == left
            ends.append(digests(scene))
    assert len({str(end) for end in ends}) == 1


def digests(scene: Any) -> list[tuple[Any, ...]]:
    """Of people and evidence, by the names of records."""
    return scene.rows(
        """
        select count(*), sum(hash(members)) from (
            select list(record order by record) as members
            from identity.unified_link_individual group by unified_individual_id
        )
        union all
        select count(*), sum(hash(least(l.record, r.record), greatest(l.record,
            r.record), kind, rule, match_weight, levels, model_version))
        from identity.evidence
        join identity.node as l on node_l = l.node_id
        join identity.node as r on node_r = r.node_id
        union all
        select count(*), sum(hash(s)) from identity.shared_identifier as s
        """
    )


def family(scene: Any, *numbers: int, email: str) -> None:
    for number in numbers:
        scene.person(f"crm_contact:{number}", "Ada", f"Byron{number}", email=email)


def test_an_identifier_that_crosses_a_cap_makes_its_records_changed(scene: Any) -> None:
    """Three who share an inbox are one person; with the fourth it names nobody."""
    family(scene, 1, 2, 3, email="info@b.org")
    scene.person("crm_contact:9", "Alan", "Turing", email="alan@t.org")
    scene.resolve(CRAMPED)
    together = frozenset(f"crm_contact:{n}" for n in (1, 2, 3))
    shared = (
        "select value, records from identity.shared_identifier where cap = 'shared'"
    )
    assert (together in scene.people(), scene.rows(shared)) == (True, [])
    for number in (4, 5, 6):
        family(scene, number, email="info@b.org")
    up = scene.resolve(CRAMPED, full=False)
    assert (up.individual.way.changed, up.individual.resolved) == (3, 6)
    assert max(len(person) for person in scene.people()) == 1
    assert scene.rows(shared) == [("info@b.org", 6)]
    for number in (4, 5, 6):
        scene.forget(f"crm_contact:{number}")
    scene.resolve(CRAMPED, full=False)
    assert (together in scene.people(), scene.rows(shared)) == (True, [])


def test_strangers_make_nobody_else_looked_at(scene: Any) -> None:
    """Growth elsewhere costs what the newcomers cost, and moves no one."""
    family(scene, 1, 2, email="ada@b.org")
    scene.resolve()
    before = published(scene)
    scene.person("shop_customer:1", "Xq", "Zvson", email="x@nowhere.net", city="Town")
    result = scene.resolve(full=False)
    assert result.individual.resolved == 1
    after = published(scene)
    for table in ("evidence", "redirect", "component", "shared_identifier"):
        assert after[table] == before[table]
    assert set(after["unified_link_individual"]) > set(
        before["unified_link_individual"]
    )


def test_a_held_run_leaves_its_changes_to_the_next(scene: Any) -> None:
    """The mark is what was promoted: nothing of a held batch may be taken for done."""
    for number in range(6):
        scene.person(f"crm_contact:{number}", email=f"a{number}@b.org")
    scene.resolve()
    scene.connection.execute(
        "update dmo.contact_point_email set normalised_email = 'a0@b.org' "
        "where party_id in ('crm_contact:1', 'crm_contact:2')"
    )
    before = published(scene)
    held = scene.resolve(full=False)
    assert (held.status, held.individual.way.changed) == ("held", 2)
    assert published(scene) == before
    scene.connection.execute(
        "update dmo.contact_point_email set normalised_email = 'a2@b.org' "
        "where party_id = 'crm_contact:2'"
    )
    freed = scene.resolve(CRAMPED)
    assert freed.status == "promoted"
    assert frozenset({"crm_contact:0", "crm_contact:1"}) in scene.people()


def test_a_lead_that_is_converted_changes_the_contact_too(scene: Any) -> None:
    """The contact's own row stays as it was; the link stands in the lead's."""
    scene.person("crm_contact:1", "Ada", "Byron")
    scene.person("crm_lead:1", "A", "King")
    for number in range(2, 9):
        scene.person(f"crm_contact:{number}", "Alan", f"Turing{number}")
    scene.connection.execute(
        "insert into dmo.lead values ('crm_lead:1', 'crm_lead:1', null, 1)"
    )
    scene.resolve(CRAMPED)
    scene.connection.execute(
        "update dmo.lead set converted_contact_id = 'crm_contact:1'"
    )
    scene.resolve(CRAMPED, full=False)
    assert frozenset({"crm_contact:1", "crm_lead:1"}) in scene.people()


def test_a_key_that_depends_on_other_records_resolves_everybody(scene: Any) -> None:
    """A word is rare until a newcomer bears it: records nobody touched would differ."""
    content = CRAMPED.model_dump()
    content["individual"]["model"]["blocking"].append({"fields": ["word"]})
    ruleset = Ruleset.model_validate(content)
    family(scene, 1, 2, 3, 4, 5, 6, email="ada@b.org")
    scene.resolve(ruleset)
    family(scene, 7, email="x@b.org")
    way = scene.resolve(ruleset, full=False).individual.way
    assert (way.full, "over all records" in way.reason) == (True, True)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("update identity.run set ruleset_version = 'x'", "another ruleset than"),
        ("update identity.run set model_version = 'x'", "another model than"),
        ("update reference.nickname set canonical = 'y'", "another program or nick"),
        ("delete from identity.matchable_individual", "is not kept"),
        ("delete from identity.run", "nothing was promoted before"),
        ("update dmo.individual set last_name = 'Z'", "2 of 2 records changed"),
    ],
)
def test_everybody_is_resolved_where_what_was_resolved_says_too_little(
    scene: Any, statement: str, why: str
) -> None:
    """And the run says why, for whoever asks what took so long."""
    family(scene, 1, 2, email="ada@b.org")
    scene.resolve(CRAMPED)
    scene.connection.execute(statement)
    way = scene.resolve(CRAMPED).individual.way
    assert way.full
    assert why in way.reason
    assert scene.rows(
        "select way, way_reason from identity.run "
        "where run = 2 and object = 'individual'"
    ) == [("full", way.reason)]
