"""The warehouse: one writer at a time, all of a block or nothing, migrations once."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import pytest

from cdp_assets.paths import Paths
from cdp_assets.warehouse import (
    Warehouse,
    WarehouseBusyError,
    migrate,
    transaction,
)

HOLD = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from cdp_assets.paths import Paths
    from cdp_assets.warehouse import Warehouse
    with Warehouse(Paths(Path(sys.argv[1]))).writing("a long load"):
        print("held", flush=True)
        time.sleep(float(sys.argv[2]))
    """
)


def hold(paths: Paths, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(paths.root), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    return process


def test_a_second_writer_waits_and_says_for_whom(paths: Paths) -> None:
    """DuckDB itself would fail at once with an I/O error."""
    said: list[str] = []
    with hold(paths, 1.0) as process:
        with Warehouse(paths, say=said.append).writing("the second") as connection:
            connection.execute("select 1")
        process.wait(timeout=10)
    assert len(said) == 1
    assert "a long load" in said[0]
    assert str(process.pid) in said[0]


def test_a_writer_that_waits_too_long_names_the_holder(paths: Paths) -> None:
    with hold(paths, 5) as process:
        impatient = Warehouse(paths, wait_seconds=0.2, say=lambda _: None)
        with (
            pytest.raises(WarehouseBusyError, match="a long load"),
            impatient.writing("the second"),
        ):
            pass
        process.kill()


def test_a_killed_writer_frees_the_lock(paths: Paths) -> None:
    with hold(paths, 60) as process:
        process.kill()
        process.wait(timeout=10)
    started = time.monotonic()
    with Warehouse(paths, wait_seconds=5).writing("the next") as connection:
        connection.execute("select 1")
    assert time.monotonic() - started < 5


def test_readers_share_and_a_missing_file_says_what_to_do(
    paths: Paths, warehouse: Warehouse
) -> None:
    with (
        pytest.raises(FileNotFoundError, match="make run"),
        warehouse.reading(),
    ):
        pass
    with warehouse.writing("a test") as connection:
        connection.execute("create table ops.note as select 1 as n")
    with warehouse.reading() as one, Warehouse(paths).reading() as two:
        assert one.execute("select n from ops.note").fetchall() == [(1,)]
        assert two.execute("select n from ops.note").fetchall() == [(1,)]


def test_a_transaction_that_fails_leaves_nothing(warehouse: Warehouse) -> None:
    with warehouse.writing("a test") as connection:
        connection.execute("create table ops.note (n integer)")
        with pytest.raises(ZeroDivisionError), transaction(connection):
            connection.execute("insert into ops.note values (1)")
            raise ZeroDivisionError
        assert connection.execute("select count(*) from ops.note").fetchone() == (0,)


def test_migrations_are_applied_once_in_order_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_first.sql").write_text("create table ops.a (n integer)")
    (folder / "0002_second.sql").write_text("alter table ops.a add column m integer")
    connection = duckdb.connect()
    assert migrate(connection, folder) == 2
    assert migrate(connection, folder) == 0
    (folder / "0003_broken.sql").write_text("create table ops.b (n integer); nonsense")
    with pytest.raises(duckdb.Error):
        migrate(connection, folder)
    (folder / "0003_broken.sql").write_text("create table ops.b (n integer)")
    assert migrate(connection, folder) == 1
