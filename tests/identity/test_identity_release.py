"""A held run is published when a person says so: once, and no worse than it was."""

import copy
import datetime as dt
from typing import Any

import pytest
import yaml

from cdp_assets.identity.release import ReleaseError, release
from cdp_assets.identity.rules import RULESET, Ruleset

AT = dt.datetime(2026, 11, 2, 9)


def ruleset() -> Ruleset:
    content = copy.deepcopy(yaml.safe_load(RULESET.read_text(encoding="utf-8")))
    content["individual"]["gates"] |= {
        "consolidation_change": 1,
        "ids_changed": 1,
        "largest_person": 3,
    }
    return Ruleset.model_validate(content)


RULES = ruleset()


def join(scene: Any, *numbers: int, email: str) -> None:
    for number in numbers:
        scene.person(f"crm_contact:{number}", email=email)


def let_go(scene: Any, run: int | None = None) -> Any:
    return release(
        scene.connection, run=run, by="steward", at=AT, why="they are one household"
    )


def test_a_released_run_is_published_once(scene: Any) -> None:
    join(scene, 1, 2, 3, email="a@b.org")
    scene.resolve(RULES)
    join(scene, 4, email="a@b.org")
    assert scene.resolve(RULES).status == "held"
    assert len(scene.people()) == 1
    assert len(next(iter(scene.people()))) == 3
    (gate,) = let_go(scene)
    assert (gate.run, gate.gate, gate.most, gate.found) == (2, "largest_person", 3, 4)
    result = scene.resolve(RULES)
    assert result.status == "promoted"
    assert len(next(iter(scene.people()))) == 4
    assert [v.gate for v in result.individual.verdicts if v.released] == [
        "largest_person"
    ]
    assert scene.rows("select used_run from identity.held_gate") == [(3,)]
    join(scene, 5, email="a@b.org")
    assert scene.resolve(RULES).status == "held"


def test_a_release_covers_nothing_worse(scene: Any) -> None:
    """More came in meanwhile: somebody has to look at that as well."""
    join(scene, 1, 2, 3, email="a@b.org")
    scene.resolve(RULES)
    join(scene, 4, email="a@b.org")
    scene.resolve(RULES)
    let_go(scene, 2)
    join(scene, 5, email="a@b.org")
    assert scene.resolve(RULES).status == "held"
    scene.forget("crm_contact:5")
    assert scene.resolve(RULES).status == "promoted"


def test_only_what_is_held_now_can_be_released(scene: Any) -> None:
    with pytest.raises(ReleaseError, match="no run yet"):
        let_go(scene)
    join(scene, 1, 2, email="a@b.org")
    scene.resolve(RULES)
    with pytest.raises(ReleaseError, match="run 1 was published"):
        let_go(scene)
    join(scene, 3, 4, email="a@b.org")
    scene.resolve(RULES)
    with pytest.raises(ReleaseError, match="run 1 is not what is held now: run 2 is"):
        let_go(scene, 1)


def test_contradicting_decisions_cannot_be_released(scene: Any) -> None:
    join(scene, 1, 2, email="a@b.org")
    scene.resolve(RULES)
    for number, kind in enumerate(("same", "different"), start=1):
        scene.connection.execute(
            "insert into identity.decision (decision, kind, record_l, record_r, "
            "decided_by, decided_at) values (?, ?, 'crm_contact:1', 'crm_contact:2', "
            "'hand', ?)",
            [number, kind, AT],
        )
    assert scene.resolve(RULES).status == "held"
    with pytest.raises(ReleaseError, match="contradict"):
        let_go(scene)
