"""The lock: who waits says for whom, whoever holds it and however it is held."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest

from cdp_assets import lock
from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.warehouse import Warehouse, WarehouseBusyError

READ = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from cdp_assets.paths import Paths
    from cdp_assets.warehouse import Warehouse
    with Warehouse(Paths(Path(sys.argv[1]))).reading("a long look"):
        print("held", flush=True)
        sys.stdin.readline()
    """
)
OPEN = textwrap.dedent(
    """
    import sys, duckdb
    connection = duckdb.connect(sys.argv[1] + "/warehouse.duckdb")
    print("held", flush=True)
    sys.stdin.readline()
    """
)
FORK = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path
    from cdp_assets import lock
    with lock.held(Path(sys.argv[1]) / "warehouse.lock", "a parent", exclusive=True,
                   wait_seconds=1, say=print):
        if os.fork() == 0:
            sys.stdin.readline()
            os._exit(0)
        print("held", flush=True)
        os._exit(0)
    """
)


def start(script: str, paths: Paths) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(paths.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    return process


@pytest.fixture
def made(paths: Paths, warehouse: Warehouse) -> Paths:
    with warehouse.writing("a test"):
        pass
    return paths


def busy(paths: Paths, *, write: bool) -> str:
    """What an impatient second process is told."""
    impatient = Warehouse(paths, wait_seconds=0.2, say=lambda _: None)
    opened = impatient.writing("another") if write else impatient.reading("another")
    with pytest.raises(WarehouseBusyError) as raised, opened:
        pass
    return str(raised.value)


def test_a_writer_waits_for_a_reader_and_names_it(made: Paths) -> None:
    """The file used to name the last writer, long gone, whoever really held it."""
    with start(READ, made) as process:
        told = busy(made, write=True)
        process.communicate("\n")
    assert f"a reader, a long look (process {process.pid}, since 20" in told


def test_a_reader_waits_for_a_writer_and_readers_wait_for_nobody(made: Paths) -> None:
    with Warehouse(made).writing("a long load"):
        assert "a long load" in busy(made, write=False)
    with start(READ, made) as process:
        with Warehouse(made, wait_seconds=0).reading("beside it"):
            assert "and 1 more" in lock.holder(made.lock)
        process.communicate("\n")
    assert lock.holders(made.lock) == []


@pytest.mark.parametrize("script", [READ, OPEN])
def test_one_killed_with_minus_nine_holds_nothing(made: Paths, script: str) -> None:
    with start(script, made) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert lock.holders(made.lock) == []
    with Warehouse(made, wait_seconds=1).writing("the next") as connection:
        connection.execute("select 1")


def test_whoever_opened_the_file_without_the_lock_is_waited_for_too(
    made: Paths,
) -> None:
    """A database client, or dbt that outlived a killed run: DuckDB fails at once."""
    said: list[str] = []
    with start(OPEN, made) as process:
        assert f"PID {process.pid}" in busy(made, write=True)
        assert "without its lock" in busy(made, write=False)
        patient = Warehouse(made, wait_seconds=10, say=said.append)
        assert process.stdin is not None
        process.stdin.close()
        with patient.writing("the next") as connection:
            connection.execute("select 1")
    assert all("waiting for the warehouse" in words for words in said)


def test_a_lock_that_a_child_of_a_dead_process_keeps_names_nobody(
    paths: Paths,
) -> None:
    """Nothing the operating system could free; `cdp doctor` says so."""
    with start(FORK, paths) as process:
        process.wait(10)
        assert not lock.is_free(paths.lock)
        assert lock.holder(paths.lock) == "a process that left no name"
        process.communicate("\n")


def test_the_file_does_not_grow_for_ever(made: Paths) -> None:
    for _ in range(600):
        with Warehouse(made).locked("a look", exclusive=False):
            pass
    assert made.lock.stat().st_size < 100_000


@pytest.mark.slow
def test_dbt_at_a_terminal_waits_for_a_writer_and_says_for_whom(
    made: Paths, tmp_path: Path
) -> None:
    """An analyst who builds into the warehouse used to get an I/O error."""
    project = tmp_path / "dbt_project"
    project.mkdir()
    shutil.copy(DBT_PROJECT / "profiles.yml", project)
    (project / "dbt_project.yml").write_text(
        "name: small\nversion: '1.0.0'\nprofile: cdp\nmodel-paths: [models]\n"
    )
    (project / "models").mkdir()
    (project / "models" / "one.sql").write_text(
        "{{ config(materialized='table') }} select 1 as n"
    )
    with start(READ, made) as reader:
        dbt = subprocess.Popen(
            [Path(sys.executable).with_name("dbt"), "run", "--target", "warehouse"],
            cwd=project,
            env={**os.environ, "CDP_WAREHOUSE": str(made.warehouse)},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert dbt.stderr is not None
        told = dbt.stderr.readline()
        assert dbt.poll() is None
        reader.communicate("\n")
        printed, _ = dbt.communicate(timeout=60)
    assert "held by a reader, a long look" in told
    assert dbt.returncode == 0, printed
    with duckdb.connect(str(made.warehouse), read_only=True) as connection:
        assert connection.execute("from main.one").fetchall() == [(1,)]
