"""What a ruleset or model would change is what it then changes; nothing before."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_assets.declarations import DeclarationError
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import RULESET, read_ruleset
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse, utc_now
from cdp_assets.what_if.rehearsal import Outlook, read_trial, rehearse
from cdp_assets.what_if.text import in_words

CONTENT = yaml.safe_load(RULESET.read_text(encoding="utf-8"))


def write(path: Path, **gates: float) -> Path:
    """The shipped ruleset without the rule by e-mail, which the model overrules not."""
    content = copy.deepcopy(CONTENT)
    del content["individual"]["match_rules"]["email"]
    content["individual"]["gates"] |= gates
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def tried(paths: Paths, file: Path) -> Outlook:
    return rehearse(
        paths,
        read_trial(file),
        name=file.name,
        examples=3,
        people_only=True,
        say=lambda _: None,
    )


@pytest.fixture
def published(scene_of: Any, warehouse: Warehouse) -> Warehouse:
    """Nameless pairs that only their inbox links, and people that more does."""
    with scene_of(warehouse, 2) as scene:
        for number in range(6):
            for part in range(2):
                scene.person(f"crm_contact:{number}{part}", email=f"a{number}@b.org")
        for number in range(30):
            scene.person(f"shop_customer:{number}", f"Xq{number}", f"Zv{number}son")
        assert scene.resolve().status == "promoted"
    return warehouse


def test_what_is_foretold_comes_and_nothing_came_before(
    published: Warehouse, paths: Paths, tmp_path: Path
) -> None:
    file = write(tmp_path / "without_email.yaml", ids_changed=1, consolidation_change=1)
    before = paths.warehouse.read_bytes()
    outlook = tried(paths, file)
    assert paths.warehouse.read_bytes() == before
    assert not list(paths.root.glob(".what-if-*"))
    people, companies = outlook.people
    assert (people.before, people.after) == (36, 42)
    assert (people.merges, people.splits, people.records_moved) == (0, 6, 6)
    assert all(len(example.parts) == 2 for example in people.split)
    assert companies.splits == companies.merges == 0
    assert outlook.gates == []
    told = in_words(outlook)
    assert "36 people would be 42" in told
    assert "Every gate would be passed" in told
    with published.writing("for real") as connection:
        resolve(
            connection,
            run=2,
            as_of=utc_now(),
            say=lambda _: None,
            ruleset=read_ruleset(file),
        )
        rows = connection.execute(
            "select count(distinct unified_individual_id) "
            "from identity.unified_link_individual"
        ).fetchall()
    assert rows == [(42,)]


def test_a_gate_that_would_hold_it_is_named(
    published: Warehouse, paths: Paths, tmp_path: Path
) -> None:
    outlook = tried(paths, write(tmp_path / "r.yaml", consolidation_change=0.01))
    assert outlook.people[0].splits == 6
    assert "consolidation_change" in outlook.gates[0]
    assert "The run would be held" in in_words(outlook)


def test_a_model_alone_is_tried_as_well(
    published: Warehouse, paths: Paths, tmp_path: Path
) -> None:
    content = json.loads(RULESET.with_name("match_model.json").read_text())
    file = tmp_path / "next.json"
    file.write_text(json.dumps(content | {"matches_per_record": 1e-9}))
    assert tried(paths, file).people[0].splits == 0
    trial = read_trial(file)
    assert trial.models["individual"].matches_per_record == 1e-9
    shipped = read_trial(RULESET).models["individual"]
    assert trial.models["individual"].version != shipped.version


def test_changes_that_wait_are_no_part_of_the_difference(
    published: Warehouse, paths: Paths, tmp_path: Path
) -> None:
    with published.writing("more") as connection:
        connection.execute(
            "update dmo.contact_point_email set normalised_email = 'a0@b.org' "
            "where normalised_email = 'a1@b.org'"
        )
    outlook = tried(paths, write(tmp_path / "r.yaml"))
    assert outlook.waiting
    assert outlook.people[0].before == 35
    assert "are taken as published" in in_words(outlook)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("r.yaml", "name: x\n", "individual"),
        ("m.json", "{}", "is no match model"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_is_copied(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DeclarationError, match=says):
        read_trial(tmp_path / name)
