"""Merge, split and undo: the exact operations that destinations receive."""

import csv
import json
from typing import Any

import pytest

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.settlement import settle
from cdp_assets.warehouse import transaction
from tests.activation.conftest import WEBHOOK

Operation = tuple[str, str, float]


@pytest.fixture
def received(world: Any, activation: Any, receiver: Any, hook: Any, as_of: Any) -> Any:
    """Plans and delivers to a webhook and to files; what each of them got by that."""
    specs = {
        # One request at a time: in parallel only the order of each person is kept.
        "webhook": activation(destination=WEBHOOK | {"concurrency": 1}),
        "file": activation(
            name="listing",
            destination={"kind": "file", "format": "csv"},
        ),
    }
    seen: dict[str, int] = {"webhook": 0, "file": 0}

    def run() -> dict[str, list[Operation]]:
        for spec in specs.values():
            world.plan(spec)
            world.hand_over()
            deliver_activation(world.outbox, spec, world.paths, environ=hook, at=as_of)
        with transaction(world.connection):
            settle(world.connection, world.outbox)
        got = {"webhook": posted(receiver), "file": written(world)}
        news = {name: got[name][seen[name] :] for name in got}
        seen.update({name: len(got[name]) for name in got})
        return news

    return run


def posted(receiver: Any) -> list[Operation]:
    if not receiver.path.exists():
        return []
    bodies = [json.loads(line) for line in receiver.path.read_text().splitlines()]
    data = [body["message"]["data"] for body in bodies]
    return [
        (each["operation"], each["unified_individual_id"], each["fields"]["value"])
        for each in data
    ]


def written(world: Any) -> list[Operation]:
    rows: list[Operation] = []
    for file in sorted((world.paths.outgoing / "listing").glob("*.csv")):
        with file.open(newline="") as lines:
            rows += [
                (row["operation"], row["unified_individual_id"], float(row["value"]))
                for row in csv.DictReader(lines)
            ]
    return rows


def test_a_merge_and_its_undo_reach_every_destination(
    world: Any, received: Any
) -> None:
    """What was sent because of a merge is put right by what the undo's run sends."""
    world.person("ada", value=100)
    world.person("bob", value=50)
    first = [("add", "ada", 100.0), ("add", "bob", 50.0)]
    assert received() == {"webhook": first, "file": first}

    # The loser goes first, as what was sent of it; the winner is sent anew.
    world.vanishes("ada")
    world.worth("bob", 150)
    merged = [("remove", "ada", 100.0), ("update", "bob", 150.0)]
    assert received() == {"webhook": merged, "file": merged}

    # Undone, the part keeps another id: ada's was retired.
    world.worth("bob", 50)
    world.person("ada2", email="ada@example.test", value=100)
    undone = [("add", "ada2", 100.0), ("update", "bob", 50.0)]
    assert received() == {"webhook": undone, "file": undone}
    assert received() == {"webhook": [], "file": []}


def test_a_merge_into_somebody_who_was_never_sent_moves_the_person(
    world: Any, received: Any
) -> None:
    world.person("ada", value=100)
    world.person("bob", consent="opt_out", value=50)
    assert received()["webhook"] == [("add", "ada", 100.0)]
    world.vanishes("ada")
    world.email("bob", "ada@example.test", rank=0)
    world.worth("bob", 150)
    moved = [("remove", "ada", 100.0), ("add", "bob", 150.0)]
    assert received()["webhook"] == moved


def test_a_split_sends_the_part_that_left_and_corrects_the_one_that_stayed(
    world: Any, received: Any
) -> None:
    world.person("ada", value=150)
    received()
    world.worth("ada", 100)
    world.person("eve", value=50)
    parts = [("add", "eve", 50.0), ("update", "ada", 100.0)]
    assert sorted(received()["file"]) == parts


def test_a_part_that_no_longer_belongs_is_removed(world: Any, received: Any) -> None:
    """Neither part is worth it any more: the destination keeps nobody of them."""
    world.person("ada", value=150)
    received()
    world.leaves("ada")
    world.worth("ada", 75)
    assert received() == {
        "webhook": [("remove", "ada", 150.0)],
        "file": [("remove", "ada", 150.0)],
    }
