"""Landing and loading at once: several producers, many files, large ones, odd ones."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cdp_assets.paths import Paths
from cdp_assets.streams.arrivals import original_name
from cdp_assets.streams.inbox import adopt
from cdp_assets.streams.landing import (
    UNFINISHED,
    discard_unfinished,
    land,
    land_all,
    landed,
    waiting,
)
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse
from tests.conftest import STARTED_AT, Loading

Declares = Callable[..., StreamSpec]
EVENT = '{"EventId":"%s","EventType":"Open","EventDate":"2026-01-01T00:00:00Z"}\n'
PRODUCER = """
import sys, time
from pathlib import Path
from cdp_assets.paths import Paths
from cdp_assets.streams.landing import land

paths, name = Paths(Path(sys.argv[1])), sys.argv[2]
event = '{"EventId":"%s","EventType":"Open","EventDate":"2026-01-01T00:00:00Z"}\\n'
for part in range(60):
    rows = (event % f"{name}-{part}-{row}" for row in range(25))
    # All use the same name, as exports of one system do.
    land(paths, "email_event", "export.ndjson", "".join(rows).encode())
    # The same bytes from each: they load once.
    land(paths, "email_event", "same.ndjson", (event % f"same-{part}").encode())
    # However slow the machine, some of it is landed after the first load began.
    while part == 30 and not (paths.root / "loading").exists():
        time.sleep(0.01)
"""


def test_what_several_processes_land_while_loads_run_is_loaded_once(
    paths: Paths, warehouse: Warehouse
) -> None:
    spec = load_streams()["email_event"]
    producers = [
        subprocess.Popen([sys.executable, "-c", PRODUCER, str(paths.root), str(name)])
        for name in range(3)
    ]
    loads = 0
    with warehouse.writing("a test") as connection:
        while True:
            ended = all(producer.poll() is not None for producer in producers)
            result = load_waiting(connection, paths, spec, started_at=STARTED_AT)
            loads += result.load_seq is not None
            if loads:
                (paths.root / "loading").touch()
            if ended:
                break
            time.sleep(0.05)
        assert [producer.returncode for producer in producers] == [0, 0, 0]
        assert loads > 1, "nothing was landed during a load"
        assert waiting(connection, paths, spec) == []
        assert (
            connection.execute(
                """
            select count(*), count(distinct EventId),
                (select sum(rows_in) from ops.load)
            from dlo.email_event
            """
            ).fetchone()
            == (3 * 60 * 25 + 60,) * 3
        )


def test_links_pipes_and_folders_stay_in_the_inbox(
    paths: Paths, thing: Declares, tmp_path: Path
) -> None:
    """A link may point to any file of the machine, and a pipe has no end."""
    folder = paths.inbox / "thing"
    folder.mkdir(parents=True)
    secret = tmp_path / "secret.ndjson"
    secret.write_text("{}\n")
    (folder / "link.ndjson").symlink_to(secret)
    (folder / "broken.ndjson").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.ndjson")
    (folder / "folder.ndjson").mkdir()
    (folder / "good.ndjson").write_text("{}\n")

    look = adopt(paths, {"thing": thing()}, min_age_seconds=0)

    assert [original_name(p.name) for p in look.adopted["thing"]] == ["good.ndjson"]
    assert set(look.refused) == {
        f"thing/{name}.ndjson" for name in ("link", "broken", "pipe", "folder")
    }
    assert secret.exists()
    assert len(list(folder.iterdir())) == 4


def test_links_and_pipes_in_the_landing_zone_hold_up_nobody(
    loading: Loading, thing: Declares
) -> None:
    loading.load(thing(), b'{"id":"1","at":"2026-01-01"}\n')
    folder = loading.paths.landing / "thing"
    os.mkfifo(folder / "pipe.ndjson")
    (folder / "broken.ndjson").symlink_to(folder / "nowhere")

    assert loading.load(thing(), b'{"id":"2","at":"2026-01-01"}\n').inserted == 1


def test_many_files_get_their_names_in_their_order(paths: Paths) -> None:
    """They are copied at the same time; arrival order is name order all the same."""
    folder = paths.inbox / "thing"
    folder.mkdir(parents=True)
    files = []
    for number in range(200):
        path = folder / f"{number:03}.csv"
        path.write_bytes(b"x" * (200 - number) * 500)
        files.append(path)
    gone = folder / "gone.csv"

    done = land_all(paths, "thing", [*files[:100], gone, *files[100:]])

    assert isinstance(done[gone], FileNotFoundError)
    assert [original_name(path.name) for path in landed(paths, "thing")] == [
        path.name for path in files
    ]
    assert not list((paths.landing / "thing").glob(".*"))


def test_what_a_killed_producer_left_is_discarded_after_a_day(paths: Paths) -> None:
    land(paths, "thing", "a.csv", b"1")
    young, old = (paths.landing / "thing" / f"{UNFINISHED}{n}" for n in "ab")
    young.write_bytes(b"half")
    old.write_bytes(b"half")
    os.utime(old, (time.time() - 25 * 3600,) * 2)

    discard_unfinished(paths, "thing")

    assert young.exists()
    assert not old.exists()


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_thousands_of_small_files_cost_no_more_each_than_hundreds(
    loading: Loading, thing: Declares, format_: str
) -> None:
    """A statement or a scan of the stage per file would be quadratic."""

    def seconds(files: int, first: int) -> float:
        for number in range(first, first + files):
            keys = [f"{number}-{row}" for row in range(20)]
            if format_ == "csv":
                rows = "id,at\n" + "".join(f"{key},2026-01-01\n" for key in keys)
            else:
                rows = "".join(
                    json.dumps({"id": key, "at": "2026-01-01"}) + "\n" for key in keys
                )
            path = loading.paths.landing / "thing" / f"{number:06}.{format_}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rows)
        begun = time.process_time()
        assert loading.load(thing(format_)).inserted == files * 20
        return time.process_time() - begun

    seconds(100, 0)
    few, many = seconds(500, 1_000), seconds(4_000, 10_000)
    assert many / 4_000 < 2 * few / 500


BIG = """
import datetime as dt, resource, sys
from pathlib import Path
from cdp_assets.paths import Paths
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import Warehouse

paths = Paths(Path(sys.argv[1]))
with Warehouse(paths).writing("a test") as connection:
    connection.execute("set memory_limit = '400MB'")
    done = load_waiting(connection, paths, load_streams()["email_event"],
        started_at=dt.datetime(2026, 11, 1))
print(done.inserted, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.long
def test_a_file_larger_than_the_memory_is_loaded_whole(paths: Paths) -> None:
    """5 million rows with 400 MB for DuckDB, which spills beside the warehouse."""
    big = paths.root / "big.ndjson"
    with big.open("w") as sink:
        for start in range(0, 5_000_000, 50_000):
            rows = (EVENT % f"{key:032}" for key in range(start, start + 50_000))
            sink.write("".join(rows))
    land_all(paths, "email_event", [big])

    done = subprocess.run(
        [sys.executable, "-c", BIG, str(paths.root)],
        capture_output=True,
        text=True,
        check=True,
    )

    # DuckDB draws a progress bar before them.
    inserted, megabytes = (int(word) for word in done.stdout.split()[-2:])
    assert inserted == 5_000_000
    assert megabytes < 1_000
