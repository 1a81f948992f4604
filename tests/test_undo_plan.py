"""An undone merge: what is foretold is what destinations are then sent."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from cdp_assets.digests import digests
from cdp_assets.paths import Paths
from cdp_assets.what_if.undo_text import in_words
from cdp_assets.what_if.undoing import rehearse_undo
from tests.conftest import run_cdp

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("flow")]

SENT = """
    select activation, operation, unified_individual_id, payload::varchar
    from activation.planned where sequence > ? order by activation, sequence
"""


def ask(root: Path, query: str, *parameters: object) -> list[tuple[object, ...]]:
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query, list(parameters)).fetchall()


@pytest.fixture
def merged(first_run: tuple[Path, str], tmp_path: Path) -> tuple[Path, int]:
    """Two people whom a destination holds, made one by a decision: its number."""
    root = tmp_path / "data"
    shutil.copytree(first_run[0], root, symlinks=True)
    held = ask(
        root,
        """
        select min(record) from activation.sent_state
        join identity.unified_link_individual using (unified_individual_id)
        where activation = 'promotion_audience' and is_held
        group by unified_individual_id order by unified_individual_id limit 2
        """,
    )
    (one,), (other,) = held
    said = run_cdp(
        root, "identity", "same", str(one), str(other), "--why", "one household"
    )
    run_cdp(root, "run")
    found = re.search(r"decision (\d+)", said)
    assert found is not None
    return root, int(found[1])


def test_the_plan_of_an_undo_is_what_its_run_sends(
    merged: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, number = merged
    ((last,),) = ask(root, "select max(sequence) from activation.planned")
    merge = ask(root, SENT, last - 3)
    assert ("promotion_audience", "remove") in {row[:2] for row in merge}
    before = digests_of(root)

    outlook = rehearse_undo(Paths(root), number, say=lambda _: None)

    assert digests_of(root) == before
    foretold = [
        (each.activation, each.operation, each.unified_individual_id)
        for each in outlook.corrections
    ]
    # Whoever was taken for the other is sent again as a person of their own.
    assert ("promotion_audience", "add") in {each[:2] for each in foretold}
    told = in_words(outlook)
    assert "promotion_audience" in told
    assert "@" not in told
    assert "@" in in_words(outlook, show_values=True)
    shown = run_cdp(root, "identity", "undo", str(number), "--plan")
    assert shown.strip() == told.strip()
    run_cdp(root, "identity", "undo", str(number), "--why", "they are two")
    run_cdp(root, "run")
    assert [row[:3] for row in ask(root, SENT, last)] == foretold


def digests_of(root: Path) -> dict[str, str]:
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return digests(connection, ("identity", "activation", "segments", "unified"))
