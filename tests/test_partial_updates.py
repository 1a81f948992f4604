"""Partial updates: a field not sent keeps what it had, in whatever order rows come."""

import datetime as dt
import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_assets.streams import quarantine
from cdp_assets.streams.landing import land

LATER = dt.datetime(2026, 11, 2)


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def row(day, id_="1", **said):
    return {"id": id_, "at": f"2026-01-{day:02d}T00:00:00"} | said


def partial(thing, format_="ndjson", **changes):
    return thing(format_, updates="partial", **changes)


def kept(loading, columns="name, count"):
    return loading.rows(f"select {columns} from dlo.thing order by id")


def counted(result):
    names = ["inserted", "updated", "deleted", "unchanged", "superseded", "quarantined"]
    return {name: value for name in names if (value := getattr(result, name))}


def test_a_field_not_sent_keeps_what_it_had(loading, thing):
    loading.load(partial(thing), lines(row(1, name="Ada", count=1)))

    result = loading.load(partial(thing), lines(row(2, count=2)))

    assert counted(result) == {"updated": 1}
    assert kept(loading, "name, count, _modified_at::varchar, _load_seq") == [
        ("Ada", 2, "2026-01-02 00:00:00", 2)
    ]


def test_a_field_sent_as_null_becomes_null(loading, thing):
    loading.load(partial(thing), lines(row(1, name="Ada", more={"a": 1})))

    loading.load(partial(thing), lines(row(2, name=None, more=None)))

    assert kept(loading, "name, more") == [(None, None)]


def test_late_is_not_last_field_by_field(loading, thing):
    """The row is old, and still the latest word on one of its fields."""
    loading.load(partial(thing), lines(row(3, count=3)))

    result = loading.load(partial(thing), lines(row(1, name="Ada", count=1)))

    assert counted(result) == {"updated": 1}
    assert kept(loading, "name, count, _modified_at::varchar") == [
        ("Ada", 3, "2026-01-03 00:00:00")
    ]


ROWS = [
    row(1, name="Ada", count=1),
    row(2, gone=True, name="bye"),
    row(3, count=3),
    row(2, name="at the deletion's instant"),
]


def test_every_order_of_rows_around_a_deletion_ends_the_same(loading, thing):
    found = set()
    for order in itertools.permutations(ROWS):
        loading.connection.execute("drop table if exists dlo.thing")
        loading.connection.execute("truncate ops.landed_file")
        for one in order:
            loading.load(partial(thing), lines(one))
        found |= set(
            kept(loading, "name, count, _is_deleted, _row_hash, _fields_at::varchar")
        )

    ((name, count, is_deleted, _, _),) = found
    assert (name, count, is_deleted) == (None, 3, False)


def test_a_deletion_keeps_what_it_says_and_a_later_row_starts_anew(loading, thing):
    spec = partial(thing)
    loading.load(spec, lines(row(1, name="Ada", count=1)))

    gone = loading.load(spec, lines(row(2, gone=True, name="bye")))
    tombstone = kept(loading, "name, count, _is_deleted")
    back = loading.load(spec, lines(row(3, count=3)))

    assert (counted(gone), counted(back)) == ({"deleted": 1}, {"updated": 1})
    assert tombstone == [("bye", None, True)]
    assert kept(loading, "name, count, gone, _is_deleted") == [(None, 3, None, False)]


def test_a_deletion_that_comes_too_late_is_remembered_but_moves_nothing(loading, thing):
    """A row marked as changed is worked on by every stage after this one."""
    loading.load(partial(thing), lines(row(5, name="Ada")))

    late = loading.load(partial(thing), lines(row(2, gone=True)))
    older = loading.load(partial(thing), lines(row(1, count=1)))

    assert (counted(late), counted(older)) == ({"superseded": 1}, {"superseded": 1})
    assert kept(loading, "name, count, _load_seq, _deleted_at::varchar") == [
        ("Ada", None, 1, "2026-01-02 00:00:00")
    ]


def test_a_row_sent_again_is_unchanged(loading, thing):
    loading.load(partial(thing), lines(row(1, name="Ada"), row(2, count=2)))

    result = loading.load(partial(thing), lines(row(2, count=2), row(2, "2")))

    assert counted(result) == {"inserted": 1, "unchanged": 1}


def test_rows_of_one_load_go_into_one(loading, thing):
    result = loading.load(
        partial(thing), lines(row(1, name="Ada"), row(2, count=2), row(3, amount=5))
    )

    assert counted(result) == {"inserted": 1, "superseded": 2}
    assert kept(loading, "name, count, amount::integer, _line") == [("Ada", 2, 5, 3)]


@pytest.mark.parametrize(("empty_cell", "name"), [("keeps", "Ada"), ("clears", None)])
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_an_empty_cell_keeps_or_clears_as_declared(
    loading, thing, format_, empty_cell, name
):
    spec = partial(thing, format_, connection={"empty_cell": empty_cell})
    sink = pa.BufferOutputStream()
    columns = {"id": ["1"], "at": ["2026-01-02"], "name": [None], "count": ["2"]}
    pq.write_table(pa.table(columns), sink)
    second = {
        "csv": b"id,at,name,count\n1,2026-01-02,,2\n",
        "parquet": sink.getvalue().to_pybytes(),
    }[format_]
    land(loading.paths, "thing", "a.ndjson", lines(row(1, name="Ada", amount=7)))

    loading.load(spec, second)

    assert kept(loading, "name, count, amount::integer") == [(name, 2, 7)]


def test_a_required_field_may_be_left_out_but_not_emptied(loading, thing):
    fields = thing().model_dump()["fields"] | {
        "name": {"type": "string", "required": True}
    }
    spec = partial(thing, fields=fields)

    result = loading.load(spec, lines(row(1, count=1), row(2, "2", name=None)))

    assert counted(result) == {"inserted": 1, "quarantined": 1}
    assert loading.rows("select field, reason from ops.quarantine") == [
        ("name", "a required field is empty")
    ]


@pytest.mark.parametrize("missing", ["id", "at"])
def test_a_partial_row_without_its_key_or_time_is_refused(loading, thing, missing):
    fields = thing().model_dump()["fields"] | {"at": {"type": "timestamp"}}
    one = row(1, name="Ada")
    del one[missing]

    result = loading.load(partial(thing, fields=fields), lines(one))

    assert counted(result) == {"quarantined": 1}


@pytest.mark.parametrize("empty_cell", ["keeps", "clears"])
def test_a_replayed_row_says_what_it_said(loading, thing, empty_cell):
    connection = {"empty_cell": empty_cell}
    spec = partial(thing, "csv", connection=connection)
    land(loading.paths, "thing", "a.ndjson", lines(row(1, name="Ada", amount=7)))
    loading.load(spec, b"id,at,name,count\n1,2026-01-02,,many\n")
    fields = thing().model_dump()["fields"] | {"more": "json", "tally": "string"}
    del fields["count"]
    loading.connection.execute("alter table dlo.thing drop count")
    mended = partial(thing, "csv", connection=connection, fields=fields)

    quarantine.replay(loading.connection, mended, started_at=LATER)

    name = "Ada" if empty_cell == "keeps" else None
    assert kept(loading, "name, amount::integer, _undeclared") == [
        (name, 7, {"count": "many"})
    ]


def test_undeclared_columns_are_fields_of_their_own(loading, thing):
    loading.load(partial(thing), lines(row(1, vip="yes", tier="a"), row(3, tier="c")))

    loading.load(partial(thing), lines(row(2, tier="b", vip="no")))

    assert kept(loading, "_undeclared") == [({"tier": "c", "vip": "no"},)]


def test_a_table_of_whole_rows_may_become_one_of_partial_updates(loading, thing):
    loading.load(thing(), lines(row(2, name="Ada", count=2), row(1, "2", gone=True)))

    loading.load(partial(thing), lines(row(1, count=1), row(3, name="Eve")))

    assert kept(loading, "name, count, _is_deleted") == [
        ("Eve", 2, False),
        (None, None, True),
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"refresh_mode": "full_refresh"}, "a full extract sends whole rows"),
        ({"modified_at": None}, "name the field that says when"),
        ({"category": "engagement", "event_time": "at"}, "an event is whole"),
    ],
)
def test_partial_updates_need_an_order(thing, changes, says):
    with pytest.raises(ValueError, match=says):
        partial(thing, **changes)
