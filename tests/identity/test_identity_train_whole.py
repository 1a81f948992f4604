"""Another model, the whole way: trained, tried, named in the ruleset, and left again.

In a copy of the program, whose ruleset is edited as its users edit theirs.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from cdp_assets.identity.model import read_model
from cdp_assets.paths import PROJECT

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("flow")]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the program."""
    folder = tmp_path / "program"
    leave = shutil.ignore_patterns("__pycache__", "target", "logs", "*.duckdb*")
    for name in ("cdp_assets", "dbt_project"):
        shutil.copytree(PROJECT / name, folder / name, ignore=leave)
    for name in ("pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    return folder


def told(program: Path, data: Path, *arguments: str) -> str:
    """What a command of the copy prints."""
    done = subprocess.run(
        [sys.executable, "-m", "cdp_assets.cli", *arguments],
        cwd=program,
        env={**os.environ, "CDP_DATA": str(data), "PYTHONPATH": str(program)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def last_run(data: Path) -> tuple[str, str, str]:
    """Status, way and model of the last resolution of people."""
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as connection:
        row = connection.execute(
            "select status, way, model_version from identity.run "
            "where object = 'individual' order by run desc limit 1"
        ).fetchone()
    assert row is not None
    return row


def people(data: Path) -> set[frozenset[str]]:
    """Which records are together."""
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select list(record) from identity.unified_link_individual "
            "group by unified_individual_id"
        ).fetchall()
    return {frozenset(records) for (records,) in rows}


def test_another_model_is_trained_tried_used_and_left_again(
    program: Path, tmp_path: Path
) -> None:
    """2,000 people train too small a model to keep, and one that works like any."""
    data = tmp_path / "data"
    told(program, data, "sample")
    told(program, data, "run", "--samples")
    shipped = read_model("match_model.json").version
    assert last_run(data)[2].startswith(shipped)

    before = people(data)
    beside = program / "cdp_assets" / "identity"
    file = beside / "next_model.json"
    options = ("--least-records", "4000", "--out", str(file))
    printed = told(program, data, "identity", "train", *options)
    version = read_model(file).version
    assert f"{version} is kept" in printed
    assert last_run(data)[2].startswith(shipped)

    tried = told(program, data, "identity", "what-if", str(file), "--people-only")
    assert "Every gate would be passed" in tried
    assert last_run(data)[2].startswith(shipped)

    ruleset = beside / "ruleset.yaml"
    text = ruleset.read_text(encoding="utf-8")
    ruleset.write_text(text.replace("match_model.json", file.name), encoding="utf-8")
    told(program, data, "run")
    status, way, model = last_run(data)
    assert (status, way) == ("promoted", "full")
    assert model.startswith(version)

    ruleset.write_text(text, encoding="utf-8")
    told(program, data, "run")
    status, way, model = last_run(data)
    assert (status, way) == ("promoted", "full")
    assert model.startswith(shipped)
    assert people(data) == before
