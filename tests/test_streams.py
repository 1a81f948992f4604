"""Streams: the fold keeps the greatest version of every key, and loses no row."""

import datetime as dt
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from cdp_assets.digests import digests
from cdp_assets.streams.budget import Budget
from cdp_assets.streams.dlo import (
    SchemaConflictError,
    ensure_table,
    ensure_tables,
)
from cdp_assets.streams.expiry import expire
from cdp_assets.streams.landing import land
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import load_streams

STARTED_AT = dt.datetime(2026, 11, 1, 12)


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def record(id_, day, **more):
    return {"id": id_, "at": f"2026-01-{day:02d}T00:00:00Z"} | more


def kept(loading):
    return loading.rows("select id, name, _is_deleted from dlo.thing order by id")


def counted(result):
    return {
        name: value
        for name in (
            "inserted",
            "updated",
            "deleted",
            "unchanged",
            "superseded",
            "quarantined",
        )
        if (value := getattr(result, name))
    }


def test_every_declared_stream_has_a_table_of_its_fields(loading):
    specs = load_streams()

    ensure_tables(loading.connection, specs.values())

    for spec in specs.values():
        found = loading.connection.execute(f"from dlo.{spec.name} limit 0").description
        assert [column[0] for column in found] == [*spec.fields, *spec.bookkeeping]


def test_a_record_says_where_it_came_from(loading, thing):
    loading.load(thing("csv"), b"id,at\n1,2026-01-01\n", name="things.csv")

    ((key, file, line, load_seq, modified_at, deleted, row_hash),) = loading.rows(
        """
        select _record_id, _file, _line, _load_seq, _modified_at, _is_deleted, _row_hash
        from dlo.thing
        """
    )
    assert (key, line, load_seq, deleted) == ("thing:1", 2, 1, False)
    assert file.endswith("-things.csv")
    assert modified_at == dt.datetime(2026, 1, 1)
    assert len(row_hash) == 32


def test_a_later_version_replaces_an_earlier_one(loading, thing):
    loading.load(thing(), lines(record("1", 1, name="old")))

    result = loading.load(thing(), lines(record("1", 2, name="new")))

    assert counted(result) == {"updated": 1}
    assert kept(loading) == [("1", "new", False)]


def test_a_version_that_arrives_late_does_not_undo_a_newer_one(loading, thing):
    loading.load(thing(), lines(record("1", 2, name="new")))

    result = loading.load(thing(), lines(record("1", 1, name="old")))

    assert counted(result) == {"superseded": 1}
    assert kept(loading) == [("1", "new", False)]


def test_a_row_sent_again_is_unchanged_and_keeps_its_sequence(loading, thing):
    """A row marked as changed is worked on by every stage after this one."""
    loading.load(thing(), lines(record("1", 1, name="a")))

    result = loading.load(thing(), lines(record("1", 1, name="a"), record("2", 1)))

    assert counted(result) == {"inserted": 1, "unchanged": 1}
    assert loading.rows("select id, _load_seq from dlo.thing order by 1") == [
        ("1", 1),
        ("2", 2),
    ]


def test_a_deletion_stays_as_a_tombstone(loading, thing):
    loading.load(thing(), lines(record("1", 1, name="a")))

    result = loading.load(thing(), lines(record("1", 2, name="a", gone=True)))

    assert counted(result) == {"deleted": 1}
    assert kept(loading) == [("1", "a", True)]


def test_a_deletion_that_arrives_first_is_not_undone_by_the_record(loading, thing):
    first = loading.load(thing(), lines(record("1", 2, gone=True)))
    second = loading.load(thing(), lines(record("1", 1, name="a")))

    assert (counted(first), counted(second)) == ({"deleted": 1}, {"superseded": 1})
    assert kept(loading) == [("1", None, True)]


@pytest.mark.parametrize("apart", [True, False])
def test_of_two_versions_of_one_instant_the_deletion_is_greater(loading, thing, apart):
    """Twenty keys, so that for some the other version has the greater hash."""
    keys = [str(key) for key in range(10, 30)]
    gone = lines(*(record(key, 1, gone=True) for key in keys))
    live = lines(*(record(key, 1, name="a") for key in keys))

    for content in [gone, live] if apart else [gone + live]:
        loading.load(thing(), content)

    assert kept(loading) == [(key, None, True) for key in keys]


def test_a_deleted_record_may_come_back(loading, thing):
    loading.load(thing(), lines(record("1", 1, gone=True)))

    result = loading.load(thing(), lines(record("1", 2, name="back")))

    assert counted(result) == {"updated": 1}
    assert kept(loading) == [("1", "back", False)]


@pytest.mark.parametrize(
    ("type_", "value"),
    [("string", "X"), ("integer", 1), ("boolean", True), ("timestamp", "2026-01-01")],
)
def test_a_deletion_flag_may_be_of_any_type(loading, thing, type_, value):
    spec = thing(fields=thing().model_dump()["fields"] | {"gone": type_})

    loading.load(spec, lines(record("1", 1, gone=value), record("2", 1, gone=None)))

    assert loading.rows("select id, _is_deleted from dlo.thing order by 1") == [
        ("1", True),
        ("2", False),
    ]


def engagement(thing, **changes):
    return thing(
        category="engagement",
        modified_at=None,
        event_time="at",
        deleted_flag=None,
        refresh_mode="incremental",
        **changes,
    )


def test_an_event_delivered_twice_is_kept_once(loading, thing):
    spec = engagement(thing)
    loading.load(spec, lines(record("1", 1, name="a"), record("1", 1, name="a")))

    result = loading.load(spec, lines(record("1", 1, name="a"), record("2", 1)))

    assert counted(result) == {"inserted": 1, "unchanged": 1}
    assert loading.rows("select count(*) from dlo.thing") == [(2,)]


def test_an_event_stays_unique_however_and_whenever_it_comes_again(loading, thing):
    """In its file, beside it, in a later load, and after it has expired."""
    spec = engagement(thing, retention_days=30)
    event = lines(record("1", 1, name="a", vip="yes"))

    once = loading.load(spec, event + event, event + b" ", lines(record("2", 1)))
    again = loading.load(spec, event + b"  ")
    expire(
        loading.connection, loading.paths, spec, as_of=STARTED_AT + dt.timedelta(365)
    )
    after = loading.load(spec, event + b"   ")

    assert counted(once) == {"inserted": 2, "superseded": 2}
    assert (counted(again), counted(after)) == ({"unchanged": 1}, {"superseded": 1})
    assert loading.rows(
        "select id, name, _undeclared, _is_deleted from dlo.thing order by id"
    ) == [("1", None, None, True), ("2", None, None, True)]


def test_two_contents_of_one_event_give_the_same_one_in_either_order(loading, thing):
    spec = engagement(thing)
    found = []
    for contents in itertools.permutations(["a", "b", "c"]):
        loading.connection.execute("drop table if exists dlo.thing")
        loading.connection.execute("truncate ops.landed_file")
        for content in contents:
            loading.load(spec, lines(record("1", 1, name=content)))
        found.append(kept(loading))

    assert all(rows == found[0] for rows in found)


def test_a_stream_without_an_order_field_keeps_what_arrives_last(loading, thing):
    spec = thing(modified_at=None)
    loading.load(spec, lines(record("1", 9, name="a"), record("1", 1, name="b")))

    result = loading.load(
        spec, lines(record("1", 5, name="x")), lines(record("1", 1, name="y"))
    )

    assert counted(result) == {"updated": 1, "superseded": 1}
    assert kept(loading) == [("1", "y", False)]
    assert loading.rows("select _modified_at from dlo.thing") == [(STARTED_AT,)]


def full(thing, **changes):
    return thing(refresh_mode="full_refresh", **changes)


def test_a_key_absent_from_a_full_extract_is_deleted(loading, thing):
    loading.load(full(thing), lines(record("1", 1), record("2", 1, name="b")))

    result = loading.load(full(thing), lines(record("1", 1)))

    assert counted(result) == {"unchanged": 1, "deleted": 1}
    assert result.rows_in == 2
    assert kept(loading) == [("1", None, False), ("2", "b", True)]
    again = loading.load(full(thing), lines(record("1", 1, name="c")))
    assert counted(again) == {"updated": 1}
    assert loading.rows("select _load_seq from dlo.thing order by id") == [(3,), (2,)]


def test_a_key_that_returns_in_a_full_extract_lives_again(loading, thing):
    """With the same modified time: only its presence says that it is back."""
    for content in ([("1", 1), ("2", 1)], [("1", 1)], [("2", 1)]):
        result = loading.load(full(thing), lines(*(record(*key) for key in content)))

    assert counted(result) == {"updated": 1, "deleted": 1}
    assert kept(loading) == [("1", None, True), ("2", None, False)]


def test_full_extracts_that_wait_together_count_one_after_the_other(loading, thing):
    result = loading.load(
        full(thing), lines(record("1", 1), record("2", 1)), lines(record("2", 1))
    )

    assert kept(loading) == [("1", None, True), ("2", None, False)]
    assert result.rows_in == 4
    assert counted(result) == {"inserted": 2, "unchanged": 1, "deleted": 1}


@pytest.mark.parametrize(
    "extract", [b"", b'{"id": "1", "at": "2026-01-01"}\n{"id": "2"', b"\xff"]
)
def test_a_damaged_or_empty_full_extract_deletes_nothing(loading, thing, extract):
    """An export that failed with an empty file would delete every customer."""
    loading.load(full(thing), lines(record("1", 1), record("2", 1)))

    loading.load(full(thing), extract)

    assert [row[2] for row in kept(loading)] == [False, False]
    ((notes,),) = loading.rows("select notes from ops.load where load_seq = 2")
    assert "not a whole extract: nothing was deleted for being absent" in notes


def test_one_sequence_numbers_the_loads_of_all_streams(loading, thing):
    first = loading.load(thing(), lines(record("1", 1)))
    second = loading.load(thing(name="other"), lines(record("1", 1)))

    assert (first.load_seq, second.load_seq) == (1, 2)


def test_a_load_with_nothing_new_writes_nothing(loading, thing):
    loading.load(thing(), lines(record("1", 1)))
    before = loading.rows("select count(*) from ops.load")

    result = loading.load(thing())

    assert result.load_seq is None
    assert not counted(result)
    assert loading.rows("select count(*) from ops.load") == before


def test_waves_of_a_few_bytes_load_everything(loading, thing):
    for place in range(5):
        land(loading.paths, "thing", "a.ndjson", lines(record(str(place), 1)))

    result = load_waiting(
        loading.connection,
        loading.paths,
        thing(),
        started_at=STARTED_AT,
        budget=Budget(bytes=100),
    )

    assert (result.inserted, result.files) == (5, 5)
    assert loading.rows("select count(*) from ops.load") == [(3,)]


def test_a_field_added_to_the_declaration_is_added_to_the_table(loading, thing):
    """Rows that do not send it yet are the same rows as before."""
    fields = thing().model_dump()["fields"]
    loading.load(thing(), lines(record("1", 1)))

    result = loading.load(
        thing(fields={"new": "integer"} | fields),
        lines(record("1", 1), record("2", 1, new=5)),
    )

    assert counted(result) == {"unchanged": 1, "inserted": 1}
    assert loading.rows("select id, new from dlo.thing order by 1") == [
        ("1", None),
        ("2", 5),
    ]


def test_a_field_whose_type_changed_is_an_error_that_says_so(loading, thing):
    ensure_table(loading.connection, thing())
    fields = thing().model_dump()["fields"] | {"count": "string"}

    with pytest.raises(SchemaConflictError, match=r"thing\.yaml: fields: count: decl"):
        ensure_table(loading.connection, thing(fields=fields))


def test_a_field_may_not_have_the_name_of_a_column_of_ours(thing):
    fields = thing().model_dump()["fields"] | {"_Load_Seq": "integer"}

    with pytest.raises(ValueError, match="_Load_Seq: the name is ours"):
        thing(fields=fields)


def test_a_load_that_fails_at_its_end_leaves_nothing_and_can_be_repeated(
    loading, thing
):
    """Rows without their entry in the ledger would be loaded again."""
    ensure_table(loading.connection, thing())
    loading.load(thing(), lines(record("1", 1, name="old"), record("2", 1)))
    before = digests(loading.connection, ["dlo", "ops"])
    loading.connection.execute("alter table ops.load add column hurdle integer")
    loading.connection.execute("update ops.load set hurdle = 1")
    loading.connection.execute("alter table ops.load alter hurdle set not null")

    with pytest.raises(duckdb.ConstraintException):
        loading.load(thing(), lines(record("1", 2, name="new"), {"id": "3"}))

    loading.connection.execute("alter table ops.load drop hurdle")
    assert digests(loading.connection, ["dlo", "ops"]) == before
    assert loading.rows("from duckdb_tables() where temporary") == []
    assert counted(loading.load(thing())) == {"updated": 1, "quarantined": 1}


LOADER = """
import datetime as dt, sys
from pathlib import Path
from cdp_assets.paths import Paths
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import Warehouse

paths = Paths(Path(sys.argv[1]))
with Warehouse(paths, say=lambda text: None).writing("a test") as connection:
    print("open", flush=True)
    load_waiting(connection, paths, load_streams()["email_event"],
        started_at=dt.datetime(2026, 11, 1))
"""


def start_loader(paths):
    return subprocess.Popen(
        [sys.executable, "-c", LOADER, str(paths.root)], stdout=subprocess.PIPE
    )


def land_events(paths, rows):
    event = '{"EventId":"%s","EventType":"Open","EventDate":"2026-01-01T00:00:00Z"}\n'
    for part in range(2):
        content = "".join(event % f"{part}-{row}" for row in range(rows // 2))
        land(paths, "email_event", f"{part}.ndjson", content.encode())


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_killed_load_leaves_all_or_nothing_and_the_next_one_mends_it(
    paths, warehouse, share
):
    """Rows without their ledger entry would be loaded twice, entries without rows
    never."""
    land_events(paths, 60_000)
    loader = start_loader(paths)
    assert loader.stdout.readline() == b"open\n"
    # A whole load takes about half a second here.
    time.sleep(0.6 * share * random.uniform(0.7, 1.3))
    os.kill(loader.pid, signal.SIGKILL)
    loader.wait()
    loader.stdout.close()

    with warehouse.writing("the next load") as connection:
        ensure_table(connection, load_streams()["email_event"])
        rows, entries, loads = connection.execute(
            """
            select (select count(*) from dlo.email_event),
                (select count(*) from ops.landed_file), (select count(*) from ops.load)
            """
        ).fetchone()
        assert (rows, entries, loads) in [(0, 0, 0), (60_000, 2, 1)]

        load_waiting(
            connection, paths, load_streams()["email_event"], started_at=STARTED_AT
        )
        assert connection.execute(
            "select count(*), count(distinct _record_id) from dlo.email_event"
        ).fetchone() == (60_000, 60_000)


def test_two_loaders_at_once_load_every_file_once(paths, warehouse):
    land_events(paths, 2_000)

    loaders = [start_loader(paths) for _ in range(2)]

    for loader in loaders:
        loader.communicate(timeout=60)
    assert [loader.returncode for loader in loaders] == [0, 0]
    with warehouse.reading() as connection:
        assert connection.execute(
            """
            select (select count(*) from dlo.email_event),
                (select sum(rows_in) from ops.load), (select count(*) from ops.load)
            """
        ).fetchone() == (2_000, 2_000, 1)


def test_nothing_of_a_load_is_left_beside_the_warehouse(loading, thing):
    """Rewritten copies hold personal data."""
    loading.load(thing("csv"), b"\xef\xbb\xbfid,at\n1,2026-01-01\n")

    spill = loading.paths.root / "warehouse.duckdb.tmp"
    assert list(spill.glob("reading-*")) == []
