"""Everybody at once: two writers, analysts' dbt, a command and a wave.

All in real processes, over one warehouse that is held when they come. Nobody fails, and
each says for whom it waits.
"""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import pytest

from cdp_assets.paths import DBT_PROJECT
from tests.benchmarks.waves import drop_changes

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("upheaval")]

WRITE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from cdp_assets.paths import Paths
    from cdp_assets.warehouse import Warehouse
    name = sys.argv[2]
    with Warehouse(Paths(Path(sys.argv[1]))).writing(name) as connection:
        connection.execute("create table if not exists ops.note (name varchar)")
        connection.execute("insert into ops.note values (?)", [name])
        print("held", flush=True)
        if name == "the first":
            sys.stdin.readline()
    """
)


class Party:
    """Processes over one runtime folder, and what each said."""

    def __init__(self, root: Path, logs: Path) -> None:
        self.root, self.logs = root, logs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str | Path, cwd: Path | None = None) -> None:
        environment = {
            **os.environ,
            "CDP_DATA": str(self.root),
            "CDP_WAREHOUSE": str(self.root / "warehouse.duckdb"),
            "CDP_DEV_WAREHOUSE": str(self.root / "dev.duckdb"),
            "CDP_SNAPSHOT": str(self.root / "serving/current/catalogue.duckdb"),
            "DBT_TARGET_PATH": str(self.logs / f"{name}-target"),
            "DBT_LOG_PATH": str(self.logs / f"{name}-logs"),
        }
        with (self.logs / f"{name}.txt").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def said(self, name: str) -> str:
        return (self.logs / f"{name}.txt").read_text(errors="replace")

    def until(self, name: str, words: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said(name):
            code = self.processes[name].poll()
            assert code is None or words in self.said(name), f"{name}: {code}"
            assert time.monotonic() < deadline, f"{name}: {self.said(name)[-2000:]}"
            time.sleep(0.1)


def small_project(folder: Path) -> Path:
    """An analyst's project with the profile of ours: one table in the warehouse."""
    (folder / "models").mkdir(parents=True)
    shutil.copy(DBT_PROJECT / "profiles.yml", folder)
    (folder / "dbt_project.yml").write_text(
        "name: small\nversion: '1.0.0'\nprofile: cdp\nmodel-paths: [models]\n"
    )
    (folder / "models" / "people.sql").write_text(
        "{{ config(materialized='table', schema='scratch') }}\n"
        "select count(*) as people from identity.unified_link_individual\n"
    )
    return folder


def test_two_writers_analysts_a_command_and_a_wave_at_once(
    first_run: tuple[Path, str], tmp_path: Path
) -> None:
    root, logs = tmp_path / "data", tmp_path / "logs"
    shutil.copytree(first_run[0], root, symlinks=True)
    logs.mkdir()
    drop_changes(root, first_run[0] / "samples", seed=1)
    python, dbt = Path(sys.executable), Path(sys.executable).with_name("dbt")
    party = Party(root, logs)
    party.start("first", python, "-c", WRITE, root, "the first")
    party.until("first", "held")

    party.start("second", python, "-c", WRITE, root, "the second")
    party.start("command", python, "-m", "cdp_assets.cli", "quarantine", "list")
    party.start("wave", python, "-m", "cdp_assets.cli", "run", "--force")
    party.start(
        "analyst",
        dbt,
        "run",
        "--target",
        "warehouse",
        cwd=small_project(tmp_path / "p"),
    )
    # The README's way: an own file beside the snapshot, which nobody waits for.
    party.start(
        "dev",
        *(dbt, "run", "--select", "service_status", "--defer", "--state"),
        root / "serving/current",
        cwd=DBT_PROJECT,
    )
    waiters = ("second", "command", "wave", "analyst")
    for name in waiters:
        party.until(name, "waiting for the warehouse, held by the first")
    assert party.processes["dev"].wait(120) == 0, party.said("dev")
    # No more is said to a process that ends.
    party.processes["first"].communicate(b"\n")

    for name, process in party.processes.items():
        if name != "first":
            process.communicate(timeout=300)
        assert process.wait(300) == 0, f"{name}: {party.said(name)[-3000:]}"
    assert "waiting" not in party.said("dev")
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        notes = connection.execute("select name from ops.note order by 1").fetchall()
        assert notes == [("the first",), ("the second",)]
        built = connection.execute(
            "from duckdb_tables() select 1 where table_name = 'people'"
        ).fetchall()
        assert len(built) == 1
        (changed,) = connection.execute(
            "select count(*) from dlo.crm_contact where _file like '%changes-1.csv'"
        ).fetchone() or (0,)
        assert changed > 0
