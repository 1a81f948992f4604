"""What becomes of files and rows later: folded again, forgotten, expired."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_assets.definitions import defs
from cdp_assets.digests import digest
from cdp_assets.paths import Paths
from cdp_assets.streams import landing
from cdp_assets.streams.compaction import compact
from cdp_assets.streams.expiry import Expired, expire
from cdp_assets.streams.landing import compacted_files, land, landed, waiting
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.rebuild import NoBackfillError, backfill, reset
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.streams.standing import standings
from cdp_assets.warehouse import Warehouse
from tests.conftest import STARTED_AT

Declares = Callable[..., StreamSpec]
DAY = dt.datetime(2026, 7, 28, tzinfo=dt.UTC)
SEEN = ("_load_seq",)


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def row(key: int, day: int, **more: Any) -> dict[str, Any]:
    return {"id": str(key), "at": f"2026-01-{day:02}", "name": f"{key}-{day}", **more}


def bring(
    warehouse: Warehouse, spec: StreamSpec, *contents: bytes, day: int = 0
) -> None:
    """Land files of one day and load them."""
    for number, content in enumerate(contents):
        at = DAY + dt.timedelta(days=day, seconds=number)
        land(warehouse.paths, spec.name, f"{day}.ndjson", content, landed_at=at)
    with warehouse.writing("a test") as connection:
        load_waiting(connection, warehouse.paths, spec, started_at=STARTED_AT)


def ask(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading() as connection:
        return connection.execute(query).fetchall()


def table(warehouse: Warehouse, *without: str) -> str:
    with warehouse.reading() as connection:
        return digest(connection, "dlo.thing", (*SEEN, *without))


def compacted(warehouse: Warehouse, spec: StreamSpec) -> None:
    with warehouse.writing("a test") as connection:
        grace = dt.timedelta(seconds=-1)
        assert compact(connection, warehouse.paths, spec, grace=grace).files


def books_balance(warehouse: Warehouse) -> None:
    """Every load adds up, and what is in quarantine is what the loads say."""
    assert ask(
        warehouse,
        """
        select count(*) from ops.load where rows_in
            <> inserted + updated + deleted + unchanged + superseded + quarantined
        """,
    ) == [(0,)]
    assert ask(warehouse, "select sum(quarantined) from ops.load") == ask(
        warehouse, "select count(*) from ops.quarantine where replayed_load_seq is null"
    )


HISTORY = [
    lines(row(1, 1, new="a"), row(2, 1), row(3, 1, new="c", count="many")),
    lines(row(1, 1, new="b"), row(2, 5, new="d"), row(4, 1, gone=True)),
    lines(row(1, 9), row(3, 2), row(5, 1, new="e"), {"id": None, "at": "2026-01-01"}),
]


def before(thing: Declares) -> StreamSpec:
    """Left out on purpose: what is merely not declared is kept, and needs no file."""
    return thing(ignored_fields=["new"])


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_backfill_ends_as_if_the_field_had_always_been_declared(
    warehouse: Warehouse, thing: Declares, tmp_path: Path, is_compacted: bool
) -> None:
    fields = thing().model_dump()["fields"]
    after = thing(fields=fields | {"new": "string"})
    for day, content in enumerate(HISTORY):
        bring(warehouse, before(thing), content, day=day)
    if is_compacted:
        compacted(warehouse, before(thing))
    other = Warehouse(Paths(tmp_path / "other"))
    for day, content in enumerate(HISTORY):
        bring(other, after, content, day=day)

    done = backfill(warehouse, after)

    assert table(warehouse) == table(other)
    assert done.quarantined == 0
    assert done.changed > 0
    books_balance(warehouse)
    again = backfill(warehouse, after)
    assert (again.changed, again.quarantined) == (0, 0)
    assert not list(warehouse.paths.root.glob("rebuild-*"))


def test_rows_that_a_backfill_does_not_change_are_no_news(
    warehouse: Warehouse, thing: Declares
) -> None:
    """Or a field that two records send would have everybody resolved again."""
    fields = thing().model_dump()["fields"]
    bring(warehouse, before(thing), lines(*(row(key, 1) for key in range(50))))
    bring(warehouse, before(thing), lines(row(7, 2, new="x")), day=1)

    done = backfill(warehouse, thing(fields=fields | {"new": "string"}))

    assert (done.updated, done.unchanged) == (1, 49)
    assert ask(
        warehouse, f"select id from dlo.thing where _load_seq = {done.load_seq}"
    ) == [("7",)]


def test_a_backfill_from_a_day_leaves_older_and_newer_versions_alone(
    warehouse: Warehouse, thing: Declares
) -> None:
    fields = thing().model_dump()["fields"]
    bring(warehouse, before(thing), lines(row(1, 9, new="first"), row(2, 1, new="b")))
    bring(
        warehouse,
        before(thing),
        lines(row(1, 3, new="late"), row(3, 1, new="c")),
        day=5,
    )

    since = (DAY + dt.timedelta(days=5)).date()
    backfill(warehouse, thing(fields=fields | {"new": "string"}), since=since)

    assert ask(warehouse, "select id, name, new from dlo.thing order by id") == [
        ("1", "1-9", None),
        ("2", "2-1", None),
        ("3", "3-1", "c"),
    ]


def test_a_backfill_brings_rows_out_of_quarantine_and_into_it(
    warehouse: Warehouse, thing: Declares
) -> None:
    bring(warehouse, thing(), lines(row(1, 1, count="many"), row(2, 1, name="")))
    fields = thing().model_dump()["fields"]
    fields |= {"count": "json", "name": {"type": "string", "required": True}}
    mended = thing(fields=fields | {"count2": "string"})
    mended.fields.pop("count")

    done = backfill(warehouse, mended)

    assert (done.inserted, done.quarantined) == (1, 0)
    assert ask(warehouse, "select field, line from ops.quarantine") == [("name", 2)]
    books_balance(warehouse)


def test_a_partial_stream_is_reset_and_never_backfilled(
    warehouse: Warehouse, thing: Declares
) -> None:
    """Half of a record may be in files that have expired."""
    spec = thing(updates="partial")
    bring(warehouse, spec, lines({"id": "1", "at": "2026-01-01", "name": "a"}))
    bring(warehouse, spec, lines({"id": "1", "at": "2026-01-02", "count": 2}), day=1)

    with pytest.raises(NoBackfillError, match="only `cdp stream reset`"):
        backfill(warehouse, spec)
    reset(warehouse, spec)

    assert ask(warehouse, "select name, count from dlo.thing") == [("a", 2)]
    books_balance(warehouse)


def test_a_reset_loads_everything_from_nothing_and_all_of_it_is_news(
    warehouse: Warehouse, thing: Declares
) -> None:
    for day, content in enumerate(HISTORY):
        bring(warehouse, thing(), content, day=day)
    compacted(warehouse, thing())
    bring(warehouse, thing(), lines(row(6, 1)), day=7)
    before = table(warehouse)
    loads = ask(warehouse, "select max(load_seq) from ops.load")[0][0]

    done = reset(warehouse, thing())

    assert table(warehouse) == before
    assert done.load_seq == loads + 1
    assert ask(warehouse, "select min(_load_seq) from dlo.thing") == [(loads + 1,)]
    books_balance(warehouse)
    with warehouse.reading() as connection:
        assert waiting(connection, warehouse.paths, thing()) == []


def test_a_reset_takes_another_type_for_a_field(
    warehouse: Warehouse, thing: Declares
) -> None:
    bring(warehouse, thing(), lines(row(1, 1, count=7)))
    fields = thing().model_dump()["fields"] | {"count": "string"}

    reset(warehouse, thing(fields=fields))

    assert ask(warehouse, "select count from dlo.thing") == [("7",)]


def test_records_that_no_file_holds_any_longer_become_tombstones(
    warehouse: Warehouse, thing: Declares
) -> None:
    """A row that merely vanished would stay in all that was made from it."""
    bring(warehouse, thing(), lines(row(1, 1)))
    bring(warehouse, thing(), lines(row(2, 1)), day=1)
    landed(warehouse.paths, "thing")[0].unlink()

    done = reset(warehouse, thing())

    assert (done.inserted, done.deleted) == (1, 1)
    assert ask(
        warehouse, "select id, name, _is_deleted, _load_seq from dlo.thing order by id"
    ) == [("1", None, True, done.load_seq), ("2", "2-1", False, done.load_seq)]
    bring(warehouse, thing(), lines(row(1, 1)), day=2)
    assert ask(warehouse, "select name from dlo.thing where id = '1'") == [("1-1",)]


EVENT = {
    "category": "engagement",
    "event_time": "at",
    "deleted_flag": None,
    "modified_at": None,
    "refresh_mode": "incremental",
}


def test_events_older_than_the_retention_become_empty_tombstones(
    warehouse: Warehouse, thing: Declares
) -> None:
    spec = thing(**EVENT)
    bring(warehouse, spec, lines(row(1, 1, amount="5"), row(2, 20)))
    as_of = dt.datetime(2026, 2, 5)

    with warehouse.writing("a test") as connection:
        dry = expire(connection, warehouse.paths, spec, as_of=as_of, dry_run=True)
        done = expire(connection, warehouse.paths, spec, as_of=as_of)
        again = expire(connection, warehouse.paths, spec, as_of=as_of)

    assert dry == done == Expired(files=0, bytes=0, rows=1)
    assert again == Expired()
    assert ask(
        warehouse,
        'select id, cast("at" as date), name, amount, _is_deleted, _load_seq '
        "from dlo.thing order by id",
    ) == [
        ("1", dt.date(2026, 1, 1), None, None, True, 2),
        ("2", dt.date(2026, 1, 20), "2-20", None, False, 1),
    ]
    books_balance(warehouse)
    # The source sends it once more: it is over.
    bring(warehouse, spec, lines(row(1, 1, amount="5"), row(3, 25)), day=1)
    live = "select id from dlo.thing where not _is_deleted order by id"
    assert ask(warehouse, live) == [("2",), ("3",)]
    assert backfill(warehouse, spec).changed == 0
    assert ask(warehouse, live) == [("2",), ("3",)]


def test_profiles_and_streams_that_say_so_keep_their_rows(
    warehouse: Warehouse, thing: Declares
) -> None:
    as_of = dt.datetime(2036, 1, 1)
    for spec in (thing(), thing(**EVENT, rows_expire=False)):
        bring(warehouse, spec, lines(row(1, 1)))
        with warehouse.writing("a test") as connection:
            done = expire(connection, warehouse.paths, spec, as_of=as_of)
            assert done.rows == 0
    with pytest.raises(ValueError, match="rows_expire: only rows of an engagement"):
        thing(rows_expire=True)


@pytest.mark.parametrize("is_compacted", [False, True])
def test_files_go_when_all_in_them_is_past_the_retention(
    warehouse: Warehouse, thing: Declares, is_compacted: bool
) -> None:
    spec, paths = thing(), warehouse.paths
    for day in (0, 1, 20):
        bring(warehouse, spec, lines(row(day, 1, count="many"), row(99, 1)), day=day)
    bring(warehouse, spec, b"no json at all", b"")
    if is_compacted:
        compacted(warehouse, spec)
    land(paths, "thing", "new.ndjson", lines(row(50, 1)), landed_at=DAY)
    as_of = DAY.replace(tzinfo=None) + dt.timedelta(days=31, hours=1)

    with warehouse.writing("a test") as connection:
        dry = expire(connection, paths, spec, as_of=as_of, dry_run=True)
        before = [*landed(paths, "thing"), *compacted_files(paths, "thing")]
        done = expire(connection, paths, spec, as_of=as_of)
        waits = waiting(connection, paths, spec)

    left = [*landed(paths, "thing"), *compacted_files(paths, "thing")]
    assert dry == done
    assert done.files == len(before) - len(left)
    # What waits is never deleted unread; the twentieth day's file is young.
    assert sorted(path.name[6:8] for path in left) == ["17", "28"]
    assert waits == [path for path in left if path.name.endswith("new.ndjson")]
    assert ask(
        warehouse,
        "select count(*) filter (expired_at is not null), count(*) "
        "from ops.landed_file",
    ) == [(4, 5)]
    assert ask(
        warehouse,
        "select count(*) filter (record is null), count(record) from ops.quarantine",
    ) == [(3, 1)]


def test_an_expiry_killed_before_its_files_were_deleted_is_finished_by_the_next(
    warehouse: Warehouse, thing: Declares
) -> None:
    spec, paths = thing(), warehouse.paths
    bring(warehouse, spec, lines(row(1, 1)))
    (file,) = landed(paths, "thing")
    content, as_of = file.read_bytes(), dt.datetime(2027, 1, 1)
    with warehouse.writing("a test") as connection:
        expire(connection, paths, spec, as_of=as_of)
        file.write_bytes(content)
        assert waiting(connection, paths, spec) == []
        expire(connection, paths, spec, as_of=as_of)
    assert not file.exists()


def test_how_a_stream_stands(
    warehouse: Warehouse, thing: Declares, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(warehouse, thing(), lines(row(1, 1), row(2, 2, gone=True)), b"no json")
    bring(warehouse, thing(), b"\xff", day=1)
    monkeypatch.setenv("CDP_WAVE_ROWS", "2")
    for day in range(2, 6):
        land(warehouse.paths, "thing", "w.ndjson", lines(row(day, 3)))
    with warehouse.reading() as connection:
        (found,) = standings(
            connection, warehouse.paths, [thing()], as_of=dt.datetime(2026, 1, 3)
        )
        (stale,) = standings(
            connection, warehouse.paths, [thing()], as_of=dt.datetime(2026, 1, 9)
        )
        (empty,) = standings(
            connection,
            warehouse.paths,
            [thing(name="other")],
            as_of=dt.datetime(2026, 1, 9),
        )

    assert (found.waiting_files, found.next_wave_files) == (4, 2)
    assert found.waiting_bytes == 4 * len(lines(row(2, 3)))
    assert (found.live_records, found.quarantined) == (1, 1)
    assert (found.unreadable_files, found.held_files) == (1, 0)
    assert found.newest_at == dt.datetime(2026, 1, 2)
    assert (found.is_stale, stale.is_stale) == (False, True)
    assert (empty.live_records, empty.last_load_at, empty.is_stale) == (0, None, True)


def test_the_commands_work_on_the_shipped_streams(
    paths: Paths, warehouse: Warehouse, cdp: Callable[..., str]
) -> None:
    event = {"EventId": "1", "EventType": "Open", "EventDate": "2020-01-01T00:00:00Z"}
    at = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
    land(paths, "email_event", "e.ndjson", lines(event), landed_at=at)
    with warehouse.writing("a test") as connection:
        spec = load_streams()["email_event"]
        load_waiting(connection, paths, spec, started_at=STARTED_AT)

    def stream(*arguments: str) -> str:
        return cdp(paths.root, "stream", *arguments)

    assert "2020-01-01 00:00, stale" in stream("status", "email_event")
    assert "1 unchanged" not in stream("backfill", "email_event")
    assert "1 records loaded" in stream("reset", "email_event", "--yes")
    asked = landing.asked(paths)
    assert asked
    assert "1 events older than 730 days would go" in stream("expire", "--dry-run")
    assert "are gone" in stream("expire")
    assert landing.asked(paths) != asked
    assert landed(paths, "email_event") == []
    assert "nothing is older" in stream("expire")
    assert "'email_evnt' is no stream" in refused(paths, "backfill", "email_evnt")
    assert "Aborted" in refused(paths, "reset", "email_event")


def refused(paths: Paths, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cdp_assets.cli", "stream", *arguments],
        env={**os.environ, "CDP_DATA": str(paths.root)},
        input="n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def test_the_nightly_job_compacts_and_expires(
    paths: Paths, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_DATA", str(paths.root))
    spec = load_streams()["email_event"]
    for year in (2020, 2026):
        event = {
            "EventId": str(year),
            "EventType": "Open",
            "EventDate": f"{year}-01-01",
        }
        at = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
        land(paths, spec.name, "e.ndjson", lines(event), landed_at=at)
    with warehouse.writing("a test") as connection:
        load_waiting(connection, paths, spec, started_at=STARTED_AT)
        connection.execute("update ops.load set finished_at = '2026-01-01'")
    (paths.root / "as_of").write_text("2026-06-01T00:00:00\n")

    with dg.DagsterInstance.ephemeral() as instance:
        job = defs().resolve_job_def("landing_upkeep")
        assert job.execute_in_process(instance=instance).success

    assert landed(paths, spec.name) == []
    assert [path.name[:4] for path in compacted_files(paths, spec.name)] == ["2026"]
    assert ask(
        warehouse,
        "select EventId from dlo.email_event where not _is_deleted",
    ) == [("2026",)]
