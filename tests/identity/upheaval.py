"""People to whom everything happens: merged, split, undone, deleted, weighed anew.

``python -m tests.identity.upheaval`` prints the history of three of them, each step
with what moved it.
"""

import copy
import dataclasses
import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import yaml

from cdp_assets.identity.decisions import Author, decide, split, undo
from cdp_assets.identity.history_text import as_of, history
from cdp_assets.identity.model import read_model
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import RULESET, Ruleset
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse
from tests.identity.conftest import Scene

AUTHOR = Author("steward", dt.datetime(2026, 11, 2, 9), "they called")
_CONTENT = copy.deepcopy(yaml.safe_load(RULESET.read_text(encoding="utf-8")))
_CONTENT["individual"]["gates"] |= {"consolidation_change": 1, "ids_changed": 1}
LENIENT = Ruleset.model_validate(_CONTENT)


class Past:
    """A scene whose redirects are remembered as they stood after every run."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.redirects: dict[int, dict[str, set[str]]] = {}

    def run(self, **more: Any) -> None:
        scene = self.scene
        scene.runs += 1
        result = resolve(
            scene.connection,
            run=scene.runs,
            as_of=AUTHOR.at,
            say=lambda _: None,
            ruleset=LENIENT,
            **more,
        )
        assert result.status == "promoted"
        rows = scene.rows("select retired_id, live_ids from identity.redirect")
        self.redirects[scene.runs] = {retired: set(ids) for retired, ids in rows}


def live_through(scene: Any) -> Past:
    """Ada's three records, Alan's two, Grace's one; then everything happens."""
    for number in (1, 2, 3):
        scene.person(f"crm_contact:{number}", "Ada", "Byron", email="ada@b.org")
    for number in (4, 5):
        scene.person(f"crm_contact:{number}", "Alan", "Turing", email="alan@t.org")
    scene.person("crm_contact:6", "Grace", "Hopper", born="1906-12-09")
    past = Past(scene)
    past.run()
    merged = decide(
        scene.connection,
        "same",
        [("crm_contact:3", "crm_contact:4")],
        AUTHOR,
        command="same",
    )
    past.run()
    undo(scene.connection, merged.number, AUTHOR)
    past.run()
    split(scene.connection, "crm_contact:1", ["crm_contact:1"], AUTHOR)
    past.run()
    scene.forget("crm_contact:6")
    past.run()
    model = dataclasses.replace(read_model("match_model.json"), version="model-next")
    past.run(models={"individual": model})
    return past


def main() -> None:
    """Let everything happen in a warehouse of its own, and print it."""
    with tempfile.TemporaryDirectory() as folder:
        opener = Warehouse(Paths(Path(folder)))
        with opener.writing("an upheaval") as connection:
            scene = Scene(connection)
            live_through(scene)
            retired = scene.rows(
                "select unified_id from identity.registry "
                "where retired_run = 2 and object = 'individual'"
            )[0][0]
            for key in (scene.id_of("crm_contact:2"), retired, "crm_contact:6"):
                print(history(connection, key), end="\n\n")
            for run in range(1, scene.runs + 1):
                print(as_of(connection, retired, run))


if __name__ == "__main__":
    main()
