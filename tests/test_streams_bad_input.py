"""Bad input: each damage to a file or a row has a stated outcome, and blocks nobody.

The table of these in README.md is this module.
"""

import datetime as dt
import json
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_assets.streams.landing import land, landed
from cdp_assets.streams.load import load
from cdp_assets.streams.readers import read_files
from cdp_assets.streams.scan import scan
from cdp_assets.streams.staging import create_stage

AT = "2026-01-01T00:00:00Z"
GOOD = b"id,at,name\n1,2026-01-01T00:00:00Z,Ada\n"


def refused(loading):
    """The file that could not be read, and why."""
    return loading.rows(
        "select outcome, reason from ops.landed_file where outcome = 'unreadable'"
    )


def quarantined(loading):
    return loading.rows(
        "select line, field, reason from ops.quarantine order by file, line"
    )


def names(loading):
    return [name for (name,) in loading.rows("select name from dlo.thing order by id")]


def parquet(**columns):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def test_bytes_that_are_not_the_declared_encoding_refuse_the_file(loading, thing):
    """Half a file of names with question marks in them is worse than none."""
    result = loading.load(thing("csv"), GOOD + "2,2026-01-01,Zoë\n".encode("latin-1"))

    assert (result.inserted, result.unreadable_files) == (0, 1)
    ((_, reason),) = refused(loading)
    assert reason.startswith("line 3: byte 0xEB is not utf-8; declare encoding:")


def test_utf_16_declared_as_utf_8_is_named(loading, thing):
    loading.load(thing("csv"), GOOD.decode().encode("utf-16"))

    assert refused(loading) == [
        (
            "unreadable",
            "starts with a UTF-16 byte order mark; declare encoding: utf-16",
        )
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "windows-1252"])
def test_a_declared_encoding_is_read(loading, thing, encoding):
    text = "id,at,name\n1,2026-01-01,Zoë Müller\n"
    content = text.encode({"windows-1252": "cp1252"}.get(encoding, encoding))

    loading.load(thing("csv", connection={"encoding": encoding}), content)

    assert names(loading) == ["Zoë Müller"]


def test_a_byte_that_windows_1252_has_not_refuses_the_file(loading, thing):
    spec = thing("csv", connection={"encoding": "windows-1252"})

    loading.load(spec, GOOD + b"2,2026-01-01,\x81\n")

    ((_, reason),) = refused(loading)
    assert reason.startswith("line 3: byte 0x81 is not windows-1252")


@pytest.mark.parametrize("format_", ["csv", "ndjson", "json"])
def test_a_byte_order_mark_is_no_part_of_the_data(loading, thing, format_):
    """With it the first column is called BOM+id, and the key is missing."""
    record = json.dumps({"id": "1", "at": AT, "name": "Ada"}).encode()
    content = {"csv": GOOD, "ndjson": record, "json": b"[" + record + b"]"}[format_]

    result = loading.load(thing(format_), b"\xef\xbb\xbf" + content)

    assert result.inserted == 1
    assert names(loading) == ["Ada"]


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        *((format_, b"") for format_ in ("csv", "ndjson", "json", "parquet")),
        *((format_, b"\n \r\n") for format_ in ("csv", "ndjson", "json")),
    ],
)
def test_an_empty_file_is_recorded_as_empty(loading, thing, format_, content):
    result = loading.load(thing(format_), content)

    assert (result.files, result.rows_in, result.unreadable_files) == (1, 0, 0)
    assert loading.rows("select outcome, rows from ops.landed_file") == [("empty", 0)]


def test_a_file_with_a_header_only_has_no_rows(loading, thing):
    result = loading.load(thing("csv"), b"id,at,name\n")

    assert (result.files, result.rows_in) == (1, 0)
    assert loading.rows("select outcome, rows from ops.landed_file") == [("loaded", 0)]


def test_a_csv_cut_off_in_a_quoted_field_loses_that_record_only(loading, thing):
    result = loading.load(thing("csv"), GOOD + b'2,2026-01-01,"Gra\nce')

    assert (result.inserted, result.quarantined) == (1, 1)
    ((line, field, reason),) = quarantined(loading)
    assert (line, field) == (3, None)
    assert (
        reason == "lines 3 to 4: a quoted field is never closed; is the file cut off?"
    )


def test_a_csv_cut_off_in_a_record_loses_that_record_only(loading, thing):
    result = loading.load(thing("csv"), GOOD + b"2,2026-01")

    assert (result.inserted, result.quarantined) == (1, 1)
    assert quarantined(loading) == [(3, None, "2 fields; the header has 3")]


def test_a_quote_that_is_not_doubled_loses_that_record_only(loading, thing):
    bad = b'2,2026-01-01,"the "great" one"\n'

    result = loading.load(thing("csv"), GOOD + bad + b"3,2026-01-01,Alan\n")

    assert (result.inserted, result.quarantined) == (2, 1)
    assert quarantined(loading) == [
        (
            3,
            None,
            "line 3: text after a closing quote; a quote in a field is written twice",
        )
    ]
    assert names(loading) == ["Ada", "Alan"]


def test_a_row_with_too_many_or_too_few_fields_is_quarantined(loading, thing):
    rows = b"2,2026-01-01\n3,2026-01-01,Alan,x\n4,2026-01-01,Bob\n"

    result = loading.load(thing("csv"), GOOD + rows)

    assert (result.inserted, result.quarantined) == (2, 2)
    assert quarantined(loading) == [
        (3, None, "2 fields; the header has 3"),
        (4, None, "4 fields; the header has 3"),
    ]
    assert loading.rows("select record from ops.quarantine order by line") == [
        ('["2", "2026-01-01"]',),
        ('["3", "2026-01-01", "Alan", "x"]',),
    ]


def test_a_delimiter_at_the_end_of_a_line_is_no_field(loading, thing):
    result = loading.load(thing("csv"), GOOD + b"2,2026-01-01,Bob,\n\n3,2026-01-01\n")

    assert (result.inserted, result.quarantined) == (2, 1)


def test_a_json_document_cut_off_refuses_the_file(loading, thing):
    content = json.dumps([{"id": "1", "at": AT}, {"id": "2", "at": AT}]).encode()

    result = loading.load(thing("json"), content[:-20])

    assert (result.rows_in, result.unreadable_files) == (0, 1)
    ((_, reason),) = refused(loading)
    assert reason.startswith("the JSON document ends inside")


def test_a_cut_off_line_of_ndjson_loses_that_record_only(loading, thing):
    line = json.dumps({"id": "1", "at": AT}).encode() + b"\n"

    result = loading.load(thing("ndjson"), line + b'{"id": "2", "at"')

    assert (result.inserted, result.quarantined) == (1, 1)
    ((number, _, reason),) = quarantined(loading)
    assert (number, reason.split(";")[0]) == (2, "not valid JSON")


def test_a_line_of_ndjson_that_is_no_object_is_quarantined(loading, thing):
    result = loading.load(thing("ndjson"), b'[1]\n"x"\n{"id": "1"} {"id": "2"}\n')

    assert (result.rows_in, result.quarantined) == (3, 3)


def test_a_parquet_file_cut_off_refuses_the_file(loading, thing):
    good = parquet(id=["1"], at=[AT])

    result = loading.load(thing("parquet"), good[: len(good) // 2], good)

    assert (result.inserted, result.unreadable_files) == (1, 1)
    ((_, reason),) = refused(loading)
    assert reason.startswith(
        "not a complete Parquet file: Invalid Input Error: No magic"
    )


def test_a_parquet_file_with_damaged_pages_refuses_the_file(loading, thing):
    """Its footer is whole: it is only found out in the middle of reading."""
    good = parquet(id=[str(i) for i in range(5000)], at=[AT] * 5000)
    damaged = good[:200] + bytes(2000) + good[2200:]
    healthy = parquet(id=["x"], at=[AT])

    result = loading.load(thing("parquet"), damaged, healthy)

    assert (result.inserted, result.unreadable_files) == (1, 1)
    ((_, reason),) = refused(loading)
    assert reason.startswith("damaged: ")
    assert str(loading.paths.root) not in reason


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
def test_a_column_that_is_not_declared_is_kept_and_noted(loading, thing, format_):
    content = {
        "csv": b"id,at,colour\n1,2026-01-01,red\n",
        "ndjson": json.dumps({"id": "1", "at": AT, "colour": "red"}).encode(),
        "parquet": parquet(id=["1"], at=[AT], colour=["red"]),
    }[format_]

    result = loading.load(thing(format_), content)

    assert result.inserted == 1
    (note,) = [note for note in result.notes if "not declared" in note]
    assert note.endswith("kept in _undeclared: colour")
    assert loading.rows("select _undeclared from dlo.thing") == [({"colour": "red"},)]
    assert loading.rows("select notes from ops.load") == [(list(result.notes),)]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
def test_an_optional_column_that_is_missing_is_null(loading, thing, format_):
    content = {
        "csv": b"id,at\n1,2026-01-01\n",
        "ndjson": json.dumps({"id": "1", "at": AT}).encode(),
        "parquet": parquet(id=["1"], at=[AT]),
    }[format_]

    assert loading.load(thing(format_), content).inserted == 1
    assert names(loading) == [None]


@pytest.mark.parametrize("missing", ["id", "at"])
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_column_of_the_key_or_required_that_is_missing_refuses_the_file(
    loading, thing, format_, missing
):
    """Row by row it would fill the quarantine with the whole file."""
    there = {"id": "at", "at": "id"}[missing]
    content = {
        "csv": f"{there},name\nx,Ada\n".encode(),
        "parquet": parquet(**{there: ["x"], "name": ["Ada"]}),
    }[format_]

    result = loading.load(thing(format_), content)

    assert (result.rows_in, result.unreadable_files) == (0, 1)
    assert refused(loading) == [
        (
            "unreadable",
            f"column '{missing}' is missing; the file has {there}, name",
        )
    ]


def test_a_file_with_another_delimiter_is_refused_with_what_was_there(loading, thing):
    loading.load(thing("csv"), b"id;at;name\n1;2026-01-01;Ada\n")

    assert refused(loading) == [
        ("unreadable", "column 'id' is missing; the file has id;at;name")
    ]


def test_a_required_key_that_ndjson_lacks_is_quarantined(loading, thing):
    lines = b'{"at": "2026-01-01"}\n{"id": "1"}\n{"id": " ", "at": "2026-01-01"}\n'

    loading.load(thing("ndjson"), lines)

    assert quarantined(loading) == [
        (1, "id", "the key is missing"),
        (2, "at", "a required field is empty"),
        (3, "id", "the key is missing"),
    ]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "json", "parquet"])
def test_a_column_in_another_case_is_the_declared_one(loading, thing, format_):
    content = {
        "csv": b"ID, At ,NAME\n1,2026-01-01,Ada\n",
        "ndjson": json.dumps({"ID": "1", "At": AT, "NAME": "Ada"}).encode(),
        "json": json.dumps({"Id": "1", "AT": AT, "NAME": "Ada"}).encode(),
        "parquet": parquet(Id=["1"], AT=[AT], nAME=["Ada"]),
    }[format_]

    assert loading.load(thing(format_), content).inserted == 1
    assert names(loading) == ["Ada"]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "json", "parquet"])
def test_a_column_with_a_name_that_is_no_identifier_gets_one(loading, thing, format_):
    """Exports have `Customer ID` and `/VSO/R_PALHGT`; SQL should not have to."""
    sent = {"Customer ID": "1", "at": AT, "/vso/name%": "Ada", "customer_id": "9"}
    content = {
        "csv": ",".join(sent).encode() + b"\n" + ",".join(sent.values()).encode(),
        "ndjson": json.dumps(sent).encode(),
        "json": json.dumps([sent, sent | {"Customer ID": "2"}]).encode(),
        "parquet": parquet(**{name: [value] for name, value in sent.items()}),
    }[format_]
    spec = thing(
        format_,
        fields={
            "id": {"type": "string", "sent_as": "Customer ID"},
            "at": "timestamp",
            "name": {"type": "string", "sent_as": "/VSO/NAME%"},
            "gone": "boolean",
        },
    )

    assert loading.load(spec, content).quarantined == 0
    assert loading.rows("select id, name from dlo.thing where id = '1'") == [
        ("1", "Ada")
    ]


def test_fields_may_have_the_names_the_loader_uses_itself(loading, thing):
    """Shopify's transactions have a `kind`, which the fold took for its own."""
    names_ = ("kind", "line", "record", "reason", "field", "row", "verdict", "file")
    spec = thing(fields={"id": "string", "at": "timestamp", "gone": "boolean"}
                 | dict.fromkeys(names_, "string"))  # fmt: skip
    record = {"id": "1", "at": AT} | {name: f"a {name}" for name in names_}

    loading.load(spec, json.dumps(record).encode())
    later = record | {"at": "2026-01-02T00:00:00Z", "kind": "b"}
    assert loading.load(spec, json.dumps(later).encode()).updated == 1

    assert loading.rows("select kind, verdict from dlo.thing") == [("b", "a verdict")]


def test_keys_of_ndjson_may_differ_in_case_from_line_to_line(loading, thing):
    lines = [{"id": "1", "at": AT, "name": "a"}, {"ID": "2", "AT": AT, "Name": "b"}]

    loading.load(thing("ndjson"), b"\n".join(json.dumps(x).encode() for x in lines))

    assert names(loading) == ["a", "b"]


WRONG = {
    ("count", "abc"): "'abc' is not a whole number; expected one like 12",
    ("count", "12.5"): "'12.5' is not a whole number; expected one like 12",
    ("count", "1e3"): "'1e3' is not a whole number; expected one like 12",
    ("count", "9223372036854775808"): "'9223372036854775808' is out of range; "
    "expected at most 9223372036854775807",
    ("amount", "abc"): "'abc' is not a number; expected decimal like 12.50",
    ("amount", "12,50"): "'12,50' is not a number; expected decimal like 12.50",
    ("amount", "nan"): "'nan' is not a number; expected decimal like 12.50",
    ("amount", "123456789012345.1"): "'123456789012345.1' is out of range; "
    "expected at most 14 digits before the point",
    ("born", "2026-02-30"): "'2026-02-30' is no day of the calendar; "
    "expected one like 2026-02-28",
    ("born", "20260230"): "'20260230' is no day of the calendar; "
    "expected one like 2026-02-28",
    ("born", "31.12.1999"): "'31.12.1999' is not a date; "
    "expected yyyy-mm-dd or yyyymmdd",
    ("born", "2026-01-01T10:00:00Z"): "'2026-01-01T10:00:00Z' is not a date; "
    "expected yyyy-mm-dd or yyyymmdd",
    ("at", "yesterday"): "'yesterday' is not a timestamp; "
    "expected one like 2026-02-28T13:45:00Z",
    ("at", "2026-02-30T00:00:00Z"): "'2026-02-30T00:00:00Z' is no instant of the "
    "calendar; expected one like 2026-02-28T13:45:00Z",
    ("at", "2026-01-01T00:00:00+99:99"): "'2026-01-01T00:00:00+99:99' is no instant "
    "of the calendar; expected one like 2026-02-28T13:45:00Z",
    ("at", "0000-01-01T00:00:00Z"): "'0000-01-01T00:00:00Z' is no instant of the "
    "calendar; expected one like 2026-02-28T13:45:00Z",
    ("born", "0000-01-01"): "'0000-01-01' is no day of the calendar; "
    "expected one like 2026-02-28",
    ("at", "9999-01-01T00:00:00Z"): "'9999-01-01T00:00:00Z' is still to come; "
    "expected an instant at most a day after the load",
    ("gone", "perhaps"): "'perhaps' is not a boolean; expected true or false",
}


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_value_of_the_wrong_type_is_quarantined_with_the_reason(
    loading, thing, format_, field, value
):
    record = {"id": "1", "at": AT} | {field: value}
    content = {
        "csv": f"{','.join(record)}\n".encode()
        + (",".join(f'"{part}"' for part in record.values())).encode(),
        "ndjson": json.dumps(record).encode(),
        "parquet": parquet(**{name: [part] for name, part in record.items()}),
    }[format_]

    result = loading.load(thing(format_), content)

    assert (result.rows_in, result.quarantined) == (1, 1)
    line = 2 if format_ == "csv" else 1
    assert quarantined(loading) == [(line, field, WRONG[field, value])]
    ((kept,),) = loading.rows("select record from ops.quarantine")
    assert json.loads(kept) == record


def test_json_that_is_none_in_a_csv_field_is_quarantined(loading, thing):
    loading.load(thing("csv"), b'id,at,more\n1,2026-01-01,"{""a"": "\n')

    ((_, field, reason),) = quarantined(loading)
    assert field == "more"
    assert reason == "'{\"a\": ' is not JSON; expected an object or a list"


def test_a_number_too_large_for_its_physical_type_is_quarantined(loading, thing):
    content = parquet(id=["1", "2"], at=[AT, AT], amount=[1e30, 2.5])

    result = loading.load(thing("parquet"), content)

    assert (result.inserted, result.quarantined) == (1, 1)
    assert quarantined(loading)[0][1] == "amount"


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
def test_a_null_key_is_quarantined(loading, thing, format_):
    content = {
        "csv": b"id,at\n,2026-01-01\n2,2026-01-01\n",
        "ndjson": b'{"id": null, "at": "2026-01-01"}\n{"id": "2", "at": "2026-01-01"}',
        "parquet": parquet(id=[None, "2"], at=[AT, AT]),
    }[format_]

    result = loading.load(thing(format_), content)

    assert (result.inserted, result.quarantined) == (1, 1)
    assert quarantined(loading)[0][1:] == ("id", "the key is missing")


def test_a_key_part_with_the_separator_in_it_is_quarantined(loading, thing):
    """'a|b', 'c' and 'a', 'b|c' would be one record."""
    spec = thing("csv", primary_key=["id", "name"])

    loading.load(
        spec, b"id,at,name\na|b,2026-01-01,c\na,2026-01-01,c\na,2026-01-01,b|c\n"
    )

    assert quarantined(loading) == [(2, "id", "holds |, which joins key parts")]
    # The last part has the rest for itself.
    assert loading.rows("select _record_id from dlo.thing order by all") == [
        ("thing:a|b|c",),
        ("thing:a|c",),
    ]


def test_a_key_twice_in_a_file_keeps_the_newer(loading, thing):
    rows = b"1,2026-01-03,new\n1,2026-01-01,old\n1,2026-01-02,middle\n"

    result = loading.load(thing("csv"), b"id,at,name\n" + rows)

    assert (result.rows_in, result.inserted, result.superseded) == (3, 1, 2)
    assert names(loading) == ["new"]


def test_the_same_bytes_twice_load_once(loading, thing):
    """A partner that sends a file again under another name has sent nothing new."""
    loading.load(thing("csv"), GOOD, name="a.csv")

    again = loading.load(thing("csv"), GOOD, name="b.csv")

    assert again.load_seq is None
    assert again.rows_in == 0
    assert loading.rows("select count(*) from ops.load") == [(1,)]


def test_the_same_bytes_twice_at_once_load_once(loading, thing):
    result = loading.load(thing("csv"), GOOD, GOOD)

    assert (result.files, result.rows_in) == (1, 1)


def test_a_reused_name_with_new_bytes_loads(loading, thing):
    loading.load(thing("csv"), GOOD)

    again = loading.load(thing("csv"), GOOD.replace(b"01-01", b"01-02"))

    assert (again.rows_in, again.updated) == (1, 1)


def test_a_declared_column_that_is_there_twice_refuses_the_file(loading, thing):
    loading.load(thing("csv"), b"id,at,name,NAME\n1,2026-01-01,Ada,Eve\n")

    ((_, reason),) = refused(loading)
    assert reason.startswith("column 'name' stands 2 times in the header")


def test_an_undeclared_column_may_be_there_twice(loading, thing):
    result = loading.load(thing("csv"), b"id,at,x,x,\n1,2026-01-01,a,b,\n,,c,d,e\n")

    assert (result.inserted, result.quarantined) == (1, 1)
    ((record,),) = loading.rows("select record from ops.quarantine")
    assert json.loads(record) == dict(
        [("id", None), ("at", None), ("x", "c"), ("x#2", "d"), ("", "e")]
    )


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_a_nul_byte_refuses_the_file(loading, thing, format_):
    """A crash of the writing machine leaves them at the end of a file."""
    content = {"csv": GOOD, "ndjson": b'{"id": "1", "at": "2026-01-01"}\n'}[format_]

    loading.load(thing(format_), content + bytes(10))

    ((_, reason),) = refused(loading)
    line = content.count(b"\n") + 1
    assert reason.startswith(f"line {line}: a NUL byte.")


def test_an_escaped_nul_in_json_is_quarantined(loading, thing):
    """Postgres and SQLite refuse or cut texts that hold one."""
    loading.load(
        thing("ndjson"), b'{"id": "1", "at": "2026-01-01", "name": "a\\u0000"}'
    )

    ((_, field, reason),) = quarantined(loading)
    assert field is None
    assert reason.startswith("holds the character U+0000")


def test_a_file_that_vanishes_is_left_for_the_next_load(loading, thing):
    spec = thing("csv")
    kept = land(loading.paths, "thing", "a.csv", GOOD)
    gone = land(loading.paths, "thing", "b.csv", b"id,at\n2,2026-01-01\n")
    content = gone.read_bytes()
    gone.unlink()

    first = load(
        loading.connection, spec, [kept, gone], started_at=dt.datetime(2026, 1, 1)
    )
    gone.write_bytes(content)
    second = loading.load(spec)

    assert (first.inserted, second.inserted) == (1, 1)
    assert "b.csv went away or changed" in first.notes[0]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "json", "parquet"])
@pytest.mark.parametrize("change", ["removed", "rewritten"])
def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_load(
    loading, thing, tmp_path, format_, change
):
    """Its hash would stand in the ledger for rows that are not its."""
    line = json.dumps({"id": "1", "at": AT, "name": "Ada"}).encode()
    content = {"csv": GOOD, "ndjson": line, "json": line}.get(
        format_, parquet(id=["1"], at=[AT], name=["Ada"])
    )
    paths = [
        land(loading.paths, "thing", f"{place}.{format_}", content)
        for place in range(2)
    ]
    spec = thing(format_)
    encoding = None if format_ == "parquet" else "utf-8"
    scans = {place: scan(path, encoding, tmp_path) for place, path in enumerate(paths)}
    if change == "removed":
        paths[0].unlink()
    else:
        paths[0].write_bytes(content + b" ")
    create_stage(loading.connection, spec, dt.datetime(2026, 11, 1))

    reading = read_files(loading.connection, spec, scans, tmp_path)

    assert reading.vanished == {0}
    assert loading.rows("select file_no, f_name from stage where kind = 0") == [
        (1, "Ada")
    ]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
def test_a_fault_of_ours_is_not_called_a_damaged_file(
    loading, thing, format_, tmp_path
):
    """All files of a stream would be recorded as unreadable, and none loaded again."""
    content = {"csv": GOOD, "ndjson": b'{"id": "1"}'}.get(
        format_, parquet(id=["1"], at=[AT])
    )
    path = land(loading.paths, "thing", f"a.{format_}", content)
    found = scan(path, None if format_ == "parquet" else "utf-8", tmp_path)

    loading.connection.execute("create temp table stage (file_no integer)")

    with pytest.raises(duckdb.BinderException, match="stage"):
        read_files(loading.connection, thing(format_), {0: found}, tmp_path)


def test_a_load_of_vanished_files_only_writes_nothing(loading, thing):
    gone = land(loading.paths, "thing", "a.csv", GOOD)
    gone.unlink()

    result = load(
        loading.connection, thing("csv"), [gone], started_at=dt.datetime(2026, 1, 1)
    )

    assert result.load_seq is None
    assert loading.rows("select count(*) from ops.load") == [(0,)]


def test_unreadable_files_block_nobody_and_stay_in_landing(loading, thing):
    contents = [
        GOOD,
        b"nonsense\n",
        b"id,at\n\xff,x\n",
        b"id,at,name\n2,2026-01-01,Bob\n",
    ]

    result = loading.load(thing("csv"), *contents)

    assert (result.inserted, result.files, result.unreadable_files) == (2, 2, 2)
    assert len(landed(loading.paths, "thing")) == 4
    assert len(refused(loading)) == 2


def test_a_document_without_the_record_path_names_what_is_there(loading, thing):
    spec = thing("json", connection={"record_path": "things"})

    loading.load(spec, b'{"errors": [], "status": 401}')

    ((_, reason),) = refused(loading)
    assert "expected a list under 'things'" in reason
    assert "the document has errors, status" in reason


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html></html>", "not JSON: a document begins with { or ["),
        (b'{"id": "1"}\n{"id": "2"}', "more than one JSON document"),
        (b"[]]", "closes a bracket it never opened"),
        (b'[{"id": "1"}}', "closes a bracket with }"),
        (b'["a"', "ends inside 1 open brackets"),
        (b'["a', "ends inside a text"),
    ],
)
def test_a_document_that_is_not_json_is_refused_with_the_reason(
    loading, thing, content, why
):
    loading.load(thing("json"), content)

    ((_, reason),) = refused(loading)
    assert why in reason


def test_a_damaged_record_in_a_whole_document_is_quarantined(loading, thing):
    content = b'[{"id": "1", "at": "2026-01-01"}, {"id": 2 oops}, 7]'

    result = loading.load(thing("json"), content)

    assert (result.inserted, result.quarantined) == (1, 2)
    assert [line for line, _, _ in quarantined(loading)] == [2, 3]


def test_no_date_of_sap_is_null_and_a_leap_day_is_a_day(loading, thing):
    rows = b"1,2026-01-01,00000000\n2,2026-01-01,20240229\n"

    result = loading.load(thing("csv"), b"id,at,born\n" + rows)

    assert result.inserted == 2
    assert loading.rows("select born from dlo.thing order by id") == [
        (None,),
        (dt.date(2024, 2, 29),),
    ]


def test_money_that_fits_is_exact(loading, thing):
    """0.1 + 0.2 in a double is not 0.3; an amount is never one on the way."""
    rows = b"1,2026-01-01,99999999999999.9999\n2,2026-01-01,-0.01\n"

    loading.load(thing("csv"), b"id,at,amount\n" + rows)

    assert loading.rows("select amount from dlo.thing order by id") == [
        (Decimal("99999999999999.9999"),),
        (Decimal("-0.0100"),),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"things": [%s], "things": [%s]}', "two lists under 'things'"),
        (b'{"things": [%s], "more": {"things": [%s]}}', ""),
        (b'{"things": [%s]}}]', "closes a bracket it never opened"),
        (b'{"things": [%s}]', "closes a bracket with }"),
    ],
)
def test_an_envelope_is_whole_and_holds_one_list(loading, thing, content, reason):
    """The second list under the same key was passed over, and nobody was told."""
    spec = thing("json", connection={"record_path": "things"})
    record = b'{"id": "%d", "at": "2026-01-01T00:00:00Z"}'
    # The second list lies in another chunk than the first.
    first = b", ".join(record % number for number in range(8_000))
    parts = (first, record % 9_000)[: content.count(b"%s")]

    result = loading.load(spec, content % parts)

    if reason:
        ((_, why),) = refused(loading)
        assert reason in why
        assert result.rows_in == 0
    else:
        assert (result.inserted, result.unreadable_files) == (8_000, 0)


def test_a_line_that_is_too_long_costs_only_itself(loading, thing):
    """One line of 20 MB refused the whole file."""
    long = b'{"id": "2", "at": "2026-01-01", "name": "%s"}' % (b"x" * (20 << 20))
    lines = [
        b'{"id": "1", "at": "2026-01-01"}',
        long,
        b'{"id": "3", "at": "2026-01-01"}',
    ]

    result = loading.load(thing("ndjson"), b"\n".join(lines))

    assert (result.inserted, result.quarantined, result.unreadable_files) == (2, 1, 0)
    ((line, _, reason),) = quarantined(loading)
    assert line == 2
    assert reason.startswith("longer than 16 MiB")
    ((kept,),) = loading.rows("select length(record) from ops.quarantine")
    assert kept < 20_000


def test_a_file_that_ends_in_a_line_is_noted(loading, thing):
    """Cut off in its last field, the last record looks whole: 12.5 was 12.50."""
    whole = loading.load(thing("csv"), b"id,at,amount\n1,2026-01-01,1.0\n")
    cut = loading.load(thing("csv"), b"id,at,amount\n2,2026-01-01,12.5")

    assert not any("cut off" in note for note in whole.notes)
    assert cut.inserted == 1
    assert any("is the last record cut off?" in note for note in cut.notes)


@pytest.mark.parametrize("days", [0, 40])
def test_a_version_is_judged_by_the_later_of_load_and_run(loading, thing, days):
    """The samples' clock is pinned; a version from 9999 froze its record for ever."""
    loading.connection.execute(
        "insert into ops.run select 1, 'r', '2026-11-01', timestamp '2026-11-01' "
        f"+ interval {days} day"
    )
    content = b"id,at\n1,2026-11-02T11:59:00Z\n2,2026-11-20T00:00:00Z\n"

    result = loading.load(thing("csv"), content)

    assert result.quarantined == (0 if days else 1)


@pytest.mark.parametrize("field", ["modified_at", "event_time"])
def test_versions_are_ordered_by_an_instant(thing, field):
    """A name as modified_at was accepted, and the first load crashed."""
    with pytest.raises(ValueError, match=f"{field}: name is declared as string"):
        thing("csv", **{field: "name"})


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r"])
def test_a_delimiter_can_delimit(thing, delimiter):
    with pytest.raises(ValueError, match="cannot stand between fields"):
        thing("csv", connection={"delimiter": delimiter})
