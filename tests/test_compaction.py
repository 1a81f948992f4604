"""Compaction: fewer, smaller files, and nothing lost of what was in them."""

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.digests import digest
from cdp_assets.paths import Paths
from cdp_assets.streams.compaction import GRACE, Compacted, compact
from cdp_assets.streams.landing import compacted_files, land, landed, waiting
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse, utc_now
from tests.conftest import STARTED_AT, Loading

Declares = Callable[..., StreamSpec]
DAY = dt.datetime(2026, 7, 28, tzinfo=dt.UTC)

CONTENTS = {
    "csv": [
        b'id,at, NAME ,count,more\n1,2026-01-01,"Zo\xc3\xab, ""Z""",5,"{""a"": 1}"\n'
        b'2,2026-01-02,"two\nlines",,\n3,2026-01-03,x,many,\n4,2026-01-04,y\n',
        b"id,at,name,unknown\n5,2026-01-05,five,?\n,2026-01-01,no key,\n",
        b'id,at,name\n6,2026-01-06,"never closed\n',
    ],
    "ndjson": [
        b'{"id":"1","at":"2026-01-01","name":"Zo\xc3\xab","more":{"a":[1,null]}}\n\n'
        b'{"id":"2","at":"2026-01-02","count":"many"}\n[1]\n{"id":"3","at":\n',
        b'{"ID":"4","at":"2026-01-04","other":1}\n{"id":5,"at":"2026-01-05","name":5}\n',
    ],
    "json": [
        json.dumps(
            [{"id": 1, "at": "2026-01-01", "more": {"b": 2}}, {"id": 2}]
        ).encode(),
        json.dumps({"id": "3", "at": "2026-01-03", "name": "one\ntwo"}).encode(),
    ],
}


def parquet_contents(loading: Loading) -> list[bytes]:
    folder = loading.paths.root / "made"
    folder.mkdir()
    columns = [
        "'1' as id, timestamptz '2026-01-01 10:00:00+02' as at, 1.10::double as amount",
        "'2' as id, timestamptz '2026-01-02 10:00:00+00' as at, "
        "'nan'::double as amount",
        "3 as id, date '2026-01-03' as at, {'a': [1, null]} as more, 9.9::decimal(5,1) "
        "as amount, '2026-02-30' as born",
    ]
    for number, selected in enumerate(columns):
        loading.connection.execute(
            f"copy (select {selected}) to '{folder}/{number}.parquet'"
        )
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def everything(loading: Loading) -> list[Any]:
    """The table with file and line, and what lies in quarantine."""
    return [
        digest(loading.connection, "dlo.thing", ["_load_seq", "_modified_at"]),
        loading.rows("select * exclude (_load_seq) from dlo.thing order by _record_id"),
        loading.rows(
            "select file, line, field, reason, record::json from ops.quarantine "
            "order by all"
        ),
        loading.rows("select outcome, file, rows from ops.landed_file order by 2"),
    ]


def load_anew(loading: Loading, spec: StreamSpec, root: Path) -> list[Any]:
    """What a warehouse makes of the landing zone that has never seen it."""
    other = Paths(root)
    shutil.copytree(loading.paths.landing, other.landing)
    with Warehouse(other).writing("a test") as connection:
        again = Loading(other, connection)
        again.load(spec)
        assert waiting(connection, other, spec) == []
        assert again.load(spec).load_seq is None
        return everything(again)


def fold_away(loading: Loading, spec: StreamSpec) -> Compacted:
    return compact(
        loading.connection, loading.paths, spec, grace=dt.timedelta(seconds=-1)
    )


@pytest.mark.parametrize("format_", ["csv", "ndjson", "json", "parquet"])
def test_rows_keep_content_file_line_and_faults(
    loading: Loading, thing: Declares, tmp_path: Path, format_: str
) -> None:
    spec = thing(format_)
    contents = CONTENTS.get(format_) or parquet_contents(loading)
    loading.load(spec, *contents)
    before = everything(loading)
    assert len(before[1]) >= 2
    assert format_ == "json" or before[2], "no fault in the test's own data"

    done = fold_away(loading, spec)

    assert (done.files, done.left) == (len(contents), 0)
    assert landed(loading.paths, "thing") == []
    assert everything(loading) == before
    assert waiting(loading.connection, loading.paths, spec) == []
    assert load_anew(loading, spec, tmp_path / "anew") == before


def test_a_frozen_stream_is_compacted_too(loading: Loading, thing: Declares) -> None:
    """What compaction adds to a record is no column that somebody failed to declare."""
    spec = thing("csv", on_drift="freeze")
    loading.load(spec, b"id,at,name\n1,2026-01-01,a\n")
    before = everything(loading)

    done = fold_away(loading, spec)

    assert (done.files, done.left) == (1, 0)
    assert everything(loading) == before


def test_there_is_one_file_per_day_and_it_is_small(
    loading: Loading, thing: Declares
) -> None:
    for number in range(60):
        rows = ({"id": f"{number}-{n}", "at": "2026-01-01"} for n in range(20))
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        at = DAY + dt.timedelta(days=number % 3, seconds=number)
        land(loading.paths, "thing", "f.ndjson", content, landed_at=at)
    loading.load(thing())

    done = fold_away(loading, thing())

    assert (done.files, done.into) == (60, 3)
    assert done.bytes_after < done.bytes_before
    assert [path.name[:8] for path in compacted_files(loading.paths, "thing")] == [
        "20260728",
        "20260729",
        "20260730",
    ]
    assert loading.rows(
        "select count(distinct compacted_into) from ops.landed_file"
    ) == [(3,)]
    assert fold_away(loading, thing()) == Compacted()


def test_what_is_not_loaded_or_just_was_is_left_alone(
    loading: Loading, thing: Declares
) -> None:
    loading.load(thing("csv"), b"id,at\n1,2026-01-01\n")
    loading.load(thing("csv"), b"no,such,columns\n1,2,3\n")
    fresh = land(loading.paths, "thing", "new.csv", b"id,at\n2,2026-01-01\n")

    assert compact(loading.connection, loading.paths, thing("csv")) == Compacted()
    later = utc_now() + GRACE + dt.timedelta(minutes=1)
    done = compact(loading.connection, loading.paths, thing("csv"), now=later)

    assert done.files == 1
    assert len(landed(loading.paths, "thing")) == 2
    assert fresh.exists()


def test_a_file_that_is_no_longer_what_was_loaded_is_left_alone(
    loading: Loading, thing: Declares
) -> None:
    spec = thing("csv")
    loading.load(spec, b"id,at\n1,2026-01-01\n", b"id,at\n2,2026-01-01\n")
    changed, kept = landed(loading.paths, "thing")
    changed.write_bytes(b"id,at\n9,2026-01-01\n")

    done = fold_away(loading, spec)

    assert (done.files, done.left) == (1, 1)
    assert changed.exists()
    assert not kept.exists()


@pytest.mark.parametrize(
    "changes", [{"modified_at": None}, {"refresh_mode": "full_refresh"}]
)
def test_where_arrival_decides_the_order_survives(
    loading: Loading, thing: Declares, tmp_path: Path, changes: dict[str, Any]
) -> None:
    spec = thing("csv", deleted_flag=None, **changes)
    versions = [
        b"id,at,name\n1,2026-01-03,first\n2,2026-01-01,gone later\n",
        b"id,at,name\n1,2026-01-02,second\n1,2026-01-01,third\n",
        b"refused,columns\n1,2\n",
        b"id,at,name\n1,2026-01-01,last\n",
    ]
    for number, content in enumerate(versions):
        at = DAY + dt.timedelta(seconds=number)
        land(loading.paths, "thing", "f.csv", content, landed_at=at)
        loading.load(spec)
    before = "select id, name, _is_deleted, _file, _line from dlo.thing order by id"
    expected = loading.rows(before)
    assert expected[0][1] == "last"

    fold_away(loading, spec)

    assert len(compacted_files(loading.paths, "thing")) == 2
    other = Paths(tmp_path / "anew")
    shutil.copytree(loading.paths.landing, other.landing)
    with Warehouse(other).writing("a test") as connection:
        again = Loading(other, connection)
        again.load(spec)
        assert again.rows(before) == expected


def test_a_restored_warehouse_finds_what_was_compacted_after_its_backup(
    loading: Loading, thing: Declares, tmp_path: Path
) -> None:
    """Else the rows of those days would be gone, with their files in plain sight."""
    spec = thing()
    loading.load(spec, b'{"id":"1","at":"2026-01-01"}\n')
    loading.connection.execute("checkpoint")
    backup = tmp_path / "restored"
    backup.mkdir()
    shutil.copy(loading.paths.warehouse, backup / "warehouse.duckdb")
    loading.load(spec, b'{"id":"2","at":"2026-01-01"}\n')
    fold_away(loading, spec)
    before = everything(loading)
    shutil.copytree(loading.paths.landing, backup / "landing")

    restored = Paths(backup)
    with Warehouse(restored).writing("a test") as connection:
        again = Loading(restored, connection)
        assert len(waiting(connection, restored, spec)) == 1
        assert again.load(spec).inserted == 1
        assert everything(again) == before


@pytest.mark.parametrize("point", ["before the ledger", "before the unlinking"])
def test_a_compaction_that_was_killed_is_finished_by_the_next(
    loading: Loading, thing: Declares, tmp_path: Path, point: str
) -> None:
    spec = thing("csv")
    loading.load(spec, *CONTENTS["csv"])
    before = everything(loading)
    originals = tmp_path / "originals"
    shutil.copytree(loading.paths.landing / "thing", originals)
    fold_away(loading, spec)
    # Put back what the step that was not reached would have taken away.
    shutil.copytree(originals, loading.paths.landing / "thing", dirs_exist_ok=True)
    if point == "before the ledger":
        loading.connection.execute("update ops.landed_file set compacted_into = null")
    (loading.paths.landing / "thing/compacted/.compacting-x").write_bytes(b"half")

    loads = loading.rows("select count(*) from ops.load")
    assert fold_away(loading, spec) == Compacted()

    assert everything(loading) == before
    assert loading.rows("select count(*) from ops.load") == loads
    assert landed(loading.paths, "thing") == []
    (compacted,) = compacted_files(loading.paths, "thing")
    assert [path.name for path in compacted.parent.iterdir()] == [compacted.name]


COMPACTOR = """
import datetime as dt, sys
from pathlib import Path
from cdp_assets.paths import Paths
from cdp_assets.streams.compaction import compact
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import Warehouse

paths = Paths(Path(sys.argv[1]))
with Warehouse(paths, say=lambda text: None).writing("a test") as connection:
    print("open", flush=True)
    compact(connection, paths, load_streams()["email_event"],
        grace=dt.timedelta(seconds=-1))
"""


@pytest.mark.slow
def test_kills_at_any_moment_lose_and_double_nothing(
    paths: Paths, warehouse: Warehouse
) -> None:
    spec, event = load_streams()["email_event"], '{"EventId":"%s","EventType":"Open",'
    event += '"EventDate":"2026-01-01T00:00:00Z"}\n'
    for part in range(60):
        content = "".join(event % f"{part}-{row}" for row in range(500)).encode()
        at = DAY + dt.timedelta(days=part % 6)
        land(paths, spec.name, f"{part}.ndjson", content, landed_at=at)
    with warehouse.writing("a test") as connection:
        load_waiting(connection, paths, spec, started_at=STARTED_AT)
    for attempt in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", COMPACTOR, str(paths.root)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.04 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with warehouse.writing("a test") as connection:
        compact(connection, paths, spec, grace=dt.timedelta(seconds=-1))
    assert landed(paths, spec.name) == []
    fresh = Paths(paths.root / "fresh")
    shutil.copytree(paths.landing, fresh.landing)
    with Warehouse(fresh).writing("a test") as connection:
        loaded = load_waiting(connection, fresh, spec, started_at=STARTED_AT)
        assert (loaded.rows_in, loaded.inserted, loaded.files) == (30_000, 30_000, 60)
