"""Schema drift: each mode has its outcome for a column that nobody declared."""

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_assets.digests import ARRIVAL, digest
from cdp_assets.streams import quarantine
from cdp_assets.streams.dlo import ensure_table

FORMATS = ["csv", "ndjson", "json", "parquet"]
LATER = dt.datetime(2026, 11, 2)
ROWS = (
    {"id": "1", "at": "2026-01-01T00:00:00", "Colour": "red"},
    {"id": "2", "at": "2026-01-01T00:00:00", "Colour": None},
)


def content(format_, rows=ROWS):
    names = list(rows[0])
    match format_:
        case "csv":
            cells = [",".join(str(row[name] or "") for name in names) for row in rows]
            return "\n".join([",".join(names), *cells, ""]).encode()
        case "ndjson":
            return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        case "json":
            return json.dumps(list(rows)).encode()
        case "parquet":
            sink = pa.BufferOutputStream()
            columns = {name: [row[name] for row in rows] for name in names}
            pq.write_table(pa.table(columns), sink)
            return sink.getvalue().to_pybytes()


def with_field(thing, format_, name="colour", type_="string", **changes):
    fields = thing().model_dump()["fields"] | {name: type_}
    return thing(format_, fields=fields, **changes)


def quarantined(loading):
    return loading.rows(
        "select file, field, reason from ops.quarantine "
        "where replayed_load_seq is null order by file, line"
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_evolve_keeps_what_nobody_declared(loading, thing, format_):
    result = loading.load(thing(format_), content(format_))

    assert (result.inserted, result.quarantined) == (2, 0)
    assert loading.rows("select id, _undeclared from dlo.thing order by id") == [
        ("1", {"Colour": "red"}),
        ("2", None),
    ]
    assert "columns not declared, kept in _undeclared: Colour" in result.notes


@pytest.mark.parametrize("format_", FORMATS)
def test_freeze_refuses_the_file_and_no_other(loading, thing, format_):
    frozen = thing(format_, on_drift="freeze")
    plain = [{"id": "9", "at": "2026-01-01T00:00:00"}]

    result = loading.load(frozen, content(format_), content(format_, plain))

    assert (result.rows_in, result.inserted, result.unreadable_files) == (1, 1, 1)
    ((reason,),) = loading.rows(
        "select reason from ops.landed_file where outcome = 'unreadable'"
    )
    assert reason.startswith("columns not declared: Colour; on_drift is freeze")


@pytest.mark.parametrize("format_", FORMATS)
def test_quarantine_row_refuses_the_rows_that_fill_the_column(loading, thing, format_):
    result = loading.load(thing(format_, on_drift="quarantine_row"), content(format_))

    assert (result.inserted, result.quarantined) == (1, 1)
    assert loading.rows("select id from dlo.thing") == [("2",)]
    ((_, field, reason),) = quarantined(loading)
    assert field == "Colour"
    assert reason.startswith("the column is not declared; declare it")


@pytest.mark.parametrize("format_", FORMATS)
def test_quarantine_file_refuses_every_row_of_the_file(loading, thing, format_):
    spec = thing(format_, on_drift="quarantine_file")
    plain = [{"id": "9", "at": "2026-01-01T00:00:00"}]

    result = loading.load(spec, content(format_), content(format_, plain))

    assert (result.inserted, result.quarantined, result.unreadable_files) == (1, 2, 0)
    assert loading.rows("select id from dlo.thing") == [("9",)]
    assert {(field, reason[:29]) for _, field, reason in quarantined(loading)} == {
        ("Colour", "its file has this column, whi")
    }


@pytest.mark.parametrize("mode", ["quarantine_row", "quarantine_file"])
@pytest.mark.parametrize("format_", FORMATS)
def test_what_drift_refused_comes_back_when_the_field_is_declared(
    loading, thing, format_, mode
):
    loading.load(thing(format_, on_drift=mode), content(format_))
    unmended = quarantine.replay(
        loading.connection, thing(format_, on_drift=mode), started_at=LATER
    )
    mended = with_field(thing, format_, on_drift=mode)

    quarantine.replay(loading.connection, mended, started_at=LATER)

    assert unmended.load_seq is None
    assert quarantined(loading) == []
    assert loading.rows("select id, colour from dlo.thing order by id") == [
        ("1", "red"),
        ("2", None),
    ]


@pytest.mark.parametrize("format_", FORMATS)
def test_an_ignored_field_is_no_drift(loading, thing, format_):
    spec = thing(format_, on_drift="freeze", ignored_fields=["colour"])

    result = loading.load(spec, content(format_))

    assert (result.inserted, result.unreadable_files) == (2, 0)
    assert loading.rows("select distinct _undeclared from dlo.thing") == [(None,)]


@pytest.mark.parametrize(
    ("type_", "values"),
    [("string", ["red", "blue"]), ("integer", ["1", "2"]), ("json", ["[1]", "[2]"])],
)
def test_a_field_declared_later_has_what_was_kept(loading, thing, type_, values):
    """As if it had been declared from the start: same rows, same hashes."""
    rows = [
        {"id": str(place), "at": "2026-01-01T00:00:00", "Colour": value, "z": "kept"}
        for place, value in enumerate(values)
    ]
    spec = with_field(thing, "csv", type_=type_)
    loading.load(spec, content("csv", rows))
    at_once = digest(loading.connection, "dlo.thing", exclude=ARRIVAL)
    loading.connection.execute("drop table dlo.thing; truncate ops.landed_file")

    loading.load(thing("csv"), content("csv", rows))
    ensure_table(loading.connection, spec)

    assert digest(loading.connection, "dlo.thing", exclude=ARRIVAL) == at_once
    loading.connection.execute("truncate ops.landed_file")
    assert loading.load(spec, content("csv", rows)).unchanged == 2


def test_a_kept_value_that_does_not_fit_its_declaration_stays(loading, thing):
    loading.load(thing("csv"), content("csv"))

    ensure_table(loading.connection, with_field(thing, "csv", type_="integer"))

    assert loading.rows("select colour, _undeclared from dlo.thing where id = '1'") == [
        (None, {"Colour": "red"})
    ]


def test_keys_of_any_kind_are_kept(loading, thing):
    keys = {'a "quoted" key': 1, "a/b~c": {"x": [1]}, "e'": True, "": "no name"}
    twice = b'{"id": "1", "at": "2026-01-01", "x": 1, "x": 2}\n'

    loading.load(thing(), json.dumps({"id": "2", "at": "2026-01-01"} | keys).encode())
    loading.load(thing(), twice)

    ((kept,), (first,)) = loading.rows(
        "select _undeclared from dlo.thing order by id desc"
    )
    assert kept == {'a "quoted" key': "1", "a/b~c": '{"x":[1]}', "e'": "true"}
    assert first == {"x": "1"}


def test_records_that_share_no_keys_are_kept_too(loading, thing):
    rows = [{"id": str(i), "at": "2026-01-01", f"key{i}": i} for i in range(300)]

    loading.load(thing(), content("ndjson", rows))

    found = loading.rows("select id, _undeclared from dlo.thing")
    assert {id_: kept for id_, kept in found} == {
        str(i): {f"key{i}": str(i)} for i in range(300)
    }


def test_counts_do_not_tell_a_name_that_may_be_a_person(loading, thing):
    row = {"id": "1", "at": "2026-01-01", "ada@example.com": 1}
    loading.load(thing(on_drift="quarantine_row"), content("ndjson", [row]))

    (count,) = quarantine.counts(loading.connection, "thing")

    assert count.field == "(a column not declared)"
