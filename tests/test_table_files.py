"""A snapshot's tables as a base and changes: what is read is what the warehouse has."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.paths import Paths
from cdp_assets.publication import versions
from cdp_assets.publication.snapshot import (
    SnapshotResult,
    catalogue_path,
    publish_snapshot,
)
from cdp_assets.publication.table_files import OLDEST_BASE_SECONDS, TableFiles
from cdp_assets.publication.table_writing import SMALL

TABLE = "dmo.individual"
NO_MANIFEST = Path("no-manifest.json")

STEPS = {
    "edit": "update dmo.individual set score = score + 1 where id % 1000 = $n",
    "edit back": "update dmo.individual set score = score - 1 where id % 1000 = $n",
    "empty": "update dmo.individual set name = null where id % 2000 = $n",
    "delete": "delete from dmo.individual where id % 1500 = $n",
    "add": "insert into dmo.individual "
    "select 100000 + $n * 10 + i, 'new', i, date '2026-01-01' from range(7) t(i)",
    "double": "insert into dmo.individual from dmo.individual where id = $n",
    "many": "update dmo.individual set name = name || 'x' where id % 3 = $n % 3",
    "all": "delete from dmo.individual where $n = $n",
}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def warehouse_of(rows: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("create schema dmo")
    connection.execute(
        """
        create table dmo.individual as
        select i as id, 'person ' || i as name, i / 7 as score,
            date '2000-01-01' + (i % 9000)::int as born
        from range($rows) t(i)
        """,
        {"rows": rows},
    )
    return connection


def differences(connection: duckdb.DuckDBPyConnection, paths: Paths) -> int:
    """Rows that the table and what a reader sees do not share, doubles counted."""
    connection.execute(f"attach '{catalogue_path(paths)}' as seen (read_only)")
    try:
        found = connection.execute(
            """
            select
                (select count(*) from (
                    from dmo.individual except all from seen.dmo.individual))
                + (select count(*) from (
                    from seen.dmo.individual except all from dmo.individual))
            """
        ).fetchone()
    finally:
        connection.execute("detach seen")
    return int(found[0]) if found else -1


def publish(connection: duckdb.DuckDBPyConnection, paths: Paths) -> SnapshotResult:
    return publish_snapshot(connection, paths, NO_MANIFEST)


def files(paths: Paths) -> TableFiles:
    live = versions.current(paths.serving)
    assert live is not None
    return TableFiles(live, TABLE)


@settings(max_examples=15, deadline=None)
@given(
    waves=st.lists(
        st.lists(
            st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 40)), max_size=4
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_waves_are_read_as_they_stand(
    home: Path, waves: list[list[tuple[str, int]]]
) -> None:
    """Changes are found by hashes: rows equal in everything have one and the same."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        paths = Paths(Path(folder))
        connection = warehouse_of(SMALL)
        publish(connection, paths)
        for wave in waves:
            for step, number in wave:
                connection.execute(STEPS[step], {"n": number})
            publish(connection, paths)
            assert differences(connection, paths) == 0


def test_a_few_changes_are_all_that_is_written(tmp_path: Path) -> None:
    """A wave of a thousand changes compressed every row of a million people again."""
    paths = Paths(tmp_path)
    connection = warehouse_of(SMALL)
    assert publish(connection, paths).written == (TABLE,)
    whole = files(paths).whole.stat()
    for wave in range(3):
        connection.execute(STEPS["edit"], {"n": wave})
        connection.execute(STEPS["delete"], {"n": wave + 100})
        result = publish(connection, paths)
        assert (result.written, result.amended) == ((), (TABLE,))
    now = files(paths)
    # Nobody who opens files takes the base for the table.
    assert not now.whole.exists()
    assert now.base.stat().st_ino == whole.st_ino
    assert now.removed.stat().st_size + now.added.stat().st_size < whole.st_size / 10
    assert differences(connection, paths) == 0
    # Nothing changed: the same files again.
    connection.execute("create table dmo.product as select 1 as id")
    assert publish(connection, paths).linked == 1
    assert files(paths).added.stat().st_ino == now.added.stat().st_ino
    assert differences(connection, paths) == 0


@pytest.mark.parametrize(
    "change",
    [
        STEPS["many"],
        STEPS["double"],
        "alter table dmo.individual add column city varchar",
        "alter table dmo.individual alter score type varchar",
    ],
)
def test_a_table_is_written_whole_where_changes_would_not_say_it(
    tmp_path: Path, change: str
) -> None:
    """Too many changes, a row that stands twice, another shape."""
    paths = Paths(tmp_path)
    connection = warehouse_of(SMALL)
    publish(connection, paths)
    before = files(paths).whole.stat().st_ino
    connection.execute(change, {"n": 5} if "$n" in change else None)
    assert publish(connection, paths).written == (TABLE,)
    assert files(paths).whole.stat().st_ino != before
    assert not files(paths).base.exists()
    assert differences(connection, paths) == 0


def test_the_version_that_readers_have_open_stays_as_it_was(tmp_path: Path) -> None:
    """Both versions share the base's file; writing through a link changed the older."""
    paths = Paths(tmp_path)
    connection = warehouse_of(SMALL)
    publish(connection, paths)
    with duckdb.connect(str(catalogue_path(paths).resolve()), read_only=True) as reader:
        before = reader.execute("select sum(score) from dmo.individual").fetchone()
        connection.execute(STEPS["edit"], {"n": 1})
        publish(connection, paths)
        now = reader.execute("select sum(score) from dmo.individual").fetchone()
    assert now == before
    assert differences(connection, paths) == 0


def test_a_small_table_is_written_whole(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    connection = warehouse_of(SMALL - 1)
    publish(connection, paths)
    connection.execute(STEPS["edit"], {"n": 1})
    assert publish(connection, paths).written == (TABLE,)
    assert differences(connection, paths) == 0


def test_what_was_erased_leaves_the_files_within_a_day(tmp_path: Path) -> None:
    """A position that is left out is still a row of the base for whoever opens it."""
    paths = Paths(tmp_path)
    connection = warehouse_of(SMALL)
    publish(connection, paths)
    connection.execute("delete from dmo.individual where id = 777")
    publish(connection, paths)

    def told(file: Path) -> int:
        found = duckdb.execute(
            "select count(*) from read_parquet(?) where id = 777", [str(file)]
        ).fetchone()
        return int(found[0]) if found else -1

    assert told(files(paths).base) == 1
    # A day later, and nothing else has changed.
    written = files(paths).base.stat().st_mtime - OLDEST_BASE_SECONDS - 1
    os.utime(files(paths).base, (written, written))
    result = publish(connection, paths)
    assert (result.created, result.written) == (True, (TABLE,))
    assert told(files(paths).whole) == 0
    assert differences(connection, paths) == 0
    publish(connection, paths)
    connection.execute(STEPS["edit"], {"n": 1})
    publish(connection, paths)
    assert {
        told(file)
        for file in paths.serving.rglob("individual*.parquet")
        if file.stem.split(".")[-1] not in ("hashes", "removed")
    } == {0}
