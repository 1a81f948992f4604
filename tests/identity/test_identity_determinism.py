"""The same records make the same people, whatever else differs."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.identity.rules import RULESET, Ruleset
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse

FIRST = ["Grace", "Vincent", "Ada", "Bill", "William", None, "G"]
LAST = ["Hopper", "Byron", "Hoper", None]
STREETS = ["Elm Street 5", "Elm Str 5", "Oak Road 9"]
BORN = ["1971-03-04", "1971-04-03", "1999-12-31", None]
PERSON = st.fixed_dictionaries(
    {
        "first": st.sampled_from(FIRST),
        "last": st.sampled_from(LAST),
        "emails": st.lists(
            st.sampled_from(["a@b.org", "c@d.org", "e@f.org"]), max_size=2
        ),
        "born": st.sampled_from(BORN),
        "street": st.sampled_from(STREETS),
        "city": st.sampled_from(["Bonn", "Berlin"]),
        "postal": st.sampled_from(["53111", "10115"]),
    }
)

# The strangers outnumber the people, which a gate would rightly hold.
_CONTENT = yaml.safe_load(RULESET.read_text(encoding="utf-8"))
_CONTENT["individual"]["gates"] |= {"consolidation_change": 1}
UNGATED = Ruleset.model_validate(_CONTENT)


def write(scene: Any, people: list[tuple[int, dict[str, Any]]]) -> None:
    for number, person in people:
        scene.person(f"crm_contact:{number}", **person)


def resolved(
    make_scene: Any,
    people: list[tuple[int, dict[str, Any]]],
    threads: int = 2,
) -> tuple[Any, ...]:
    """People, ids and evidence by record name, from an empty warehouse."""
    with make_scene(threads) as scene:
        write(scene, people)
        scene.resolve()
        return (
            scene.people(),
            scene.rows(
                "select * from identity.unified_link_individual order by record"
            ),
            scene.rows(
                "select least(l.record, r.record), greatest(l.record, r.record), kind, "
                "rule, match_weight, levels from identity.evidence "
                "join identity.node as l on node_l = l.node_id "
                "join identity.node as r on node_r = r.node_id order by all"
            ),
        )


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(people=st.lists(PERSON, min_size=3, max_size=14), seed=st.integers())
def test_the_order_of_records_and_the_threads_cannot_matter(
    make_scene: Any, people: list[dict[str, Any]], seed: int
) -> None:
    """A rebuild on another machine must find the same people under the same ids."""
    numbered = list(enumerate(people))
    shuffled = numbered[:]
    random.Random(seed).shuffle(shuffled)
    assert resolved(make_scene, numbered) == resolved(make_scene, shuffled, threads=1)


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(people=st.lists(PERSON, min_size=3, max_size=12))
def test_strangers_change_nobody(make_scene: Any, people: list[dict[str, Any]]) -> None:
    """Growth elsewhere must not rewrite the profile of somebody who did not move."""
    with make_scene(2) as scene:
        write(scene, list(enumerate(people)))
        scene.resolve(UNGATED)
        before = scene.rows("select * from identity.unified_link_individual")
        for number in range(60):
            scene.person(
                f"shop_customer:{number}",
                f"Xq{number}",
                f"Zv{number}son",
                email=f"stranger{number}@nowhere.net",
                city=f"Town{number}",
            )
        assert scene.resolve(UNGATED).status == "promoted"
        after = scene.rows(
            "select * from identity.unified_link_individual "
            "where record like 'crm_contact:%'"
        )
        assert sorted(after) == sorted(before)
        assert scene.rows(
            "select distinct kind from identity.change where run = 2"
        ) == [("created",)]


@pytest.fixture
def make_scene(tmp_path: Path, scene_of: Any) -> Any:
    """Scenes in warehouses of their own, as many as the test needs."""
    made = iter(range(10_000))

    def make(threads: int) -> Any:
        root = tmp_path / str(next(made))
        root.mkdir()
        return scene_of(Warehouse(Paths(root)), threads)

    return make
