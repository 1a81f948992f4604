"""Formats: what a file says arrives as it said it, on the line where it said it."""

import csv
import datetime as dt
import io
import json
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.streams.read_csv import header_of, stage_fast
from cdp_assets.streams.read_csv_carefully import stage_carefully
from cdp_assets.streams.scan import scan
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.split_json import Splitter
from cdp_assets.streams.staging import create_stage, stage
from cdp_assets.warehouse import migrate

AT = "2026-01-01T00:00:00Z"


def test_nested_json_is_kept_as_the_source_had_it(loading, thing):
    record = {"id": "1", "at": AT, "more": {"b": [1, None, {"c": "ü"}], "a": "x"}}

    loading.load(thing("ndjson"), json.dumps(record, ensure_ascii=False).encode())

    assert loading.rows("select more from dlo.thing") == [
        ('{"b":[1,null,{"c":"ü"}],"a":"x"}',)
    ]
    assert loading.rows("select more ->> '$.b[2].c' from dlo.thing") == [("ü",)]


def test_json_null_is_null_and_a_json_text_stays_json(loading, thing):
    lines = [{"id": "1", "at": AT, "more": None}, {"id": "2", "at": AT, "more": "x"}]

    loading.load(thing("ndjson"), b"\n".join(json.dumps(x).encode() for x in lines))

    assert loading.rows("select more from dlo.thing order by id") == [
        (None,),
        ('"x"',),
    ]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("shape", ["envelope", "list", "single", "single in envelope"])
def test_a_document_may_be_an_envelope_a_list_or_one_record(
    loading, thing, shape, indent
):
    record = {"id": "1", "at": AT, "name": 'a "b", [c]', "more": [{"things": []}]}
    document = {
        "envelope": {"next": {"things": 1}, "things": [record], "after": [1]},
        "list": [record],
        "single": record,
        "single in envelope": {"things": record},
    }[shape]
    spec = thing("json", connection={"record_path": "things"})

    loading.load(spec, b"\n" + json.dumps(document, indent=indent).encode() + b"\n")

    assert loading.rows("select id, name, more::varchar from dlo.thing") == [
        ("1", 'a "b", [c]', '[{"things":[]}]')
    ]


def test_a_record_path_may_be_nested_and_the_list_empty(loading, thing):
    spec = thing("json", connection={"record_path": "data.things"})
    record = {"id": "1", "at": AT}
    page = {"things": [{"id": "wrong"}], "data": {"x": [1], "things": [record]}}

    first = loading.load(spec, json.dumps(page).encode())
    empty = loading.load(
        spec, b'{"data": {"things": []}}', b'{"data": {"things": null}}'
    )

    assert (first.inserted, empty.files, empty.rows_in) == (1, 2, 0)
    assert loading.rows("select id from dlo.thing") == [("1",)]


def test_a_list_of_the_same_name_beside_the_record_path_is_not_taken(loading, thing):
    spec = thing("json", connection={"record_path": "data.things"})
    beside = {"things": [{"id": "wrong", "at": AT}]}

    result = loading.load(spec, json.dumps({"data": {"x": 1}, "old": beside}).encode())

    assert (result.rows_in, result.unreadable_files) == (0, 1)


def test_the_line_of_a_record_in_a_document_is_its_place(loading, thing):
    records = [{"id": str(place), "at": AT} for place in range(1, 4)]

    loading.load(thing("json"), json.dumps(records, indent=1).encode())

    assert loading.rows("select id, _line from dlo.thing order by 1") == [
        ("1", 1),
        ("2", 2),
        ("3", 3),
    ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text('ab"\\{}[],:\n\r é', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["things", "a", 'b"', "\\"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(st.dictionaries(st.sampled_from(["id", "things"]), JSON)),
    around=JSON,
    chunk=st.integers(1, 40),
    pretty=st.booleans(),
    escaped=st.booleans(),
)
def test_a_document_is_split_into_its_records_wherever_chunks_end(
    records, around, chunk, pretty, escaped
):
    """A bracket in a text or an escaped quote at the edge of a chunk moves borders."""
    document = {"before": around, "things": records, "after": around}
    content = json.dumps(
        document, indent=1 if pretty else None, ensure_ascii=escaped
    ).encode()
    sink = io.BytesIO()
    splitter = Splitter(["things"])
    for begin in range(0, len(content), chunk):
        splitter.feed(content[begin : begin + chunk], sink)
    splitter.finish()

    lines = sink.getvalue().split(b"\n")
    assert [json.loads(line) for line in lines if line.strip()] == records


def test_parquet_types_arrive_as_the_declared_ones(loading, thing):
    table = pa.table(
        {
            "id": pa.array([7], pa.int32()),
            "at": pa.array(
                [dt.datetime(2026, 1, 1, 12)], pa.timestamp("ns", "Asia/Tokyo")
            ),
            "name": pa.array([dt.date(2026, 1, 2)]),
            "count": pa.array([3.0]),
            "amount": pa.array([19.99]),
            "born": pa.array(["19991231"]),
            "gone": pa.array(["X"]),
            "more": pa.array([[{"a": 1}]]),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)

    loading.load(thing("parquet"), sink.getvalue().to_pybytes())

    (row,) = loading.rows(
        'select id, "at", name, count, amount::varchar, born, gone, more from dlo.thing'
    )
    assert row == (
        "7",
        dt.datetime(2026, 1, 1, 12),
        "2026-01-02",
        3,
        "19.9900",
        dt.date(1999, 12, 31),
        True,
        '[{"a":1}]',
    )


def test_a_missing_number_as_pandas_writes_it_is_null(loading, thing):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["1"], "at": [AT], "count": [float("nan")]}), sink)

    assert loading.load(thing("parquet"), sink.getvalue().to_pybytes()).inserted == 1
    assert loading.rows("select count from dlo.thing") == [(None,)]


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-01-01T10:00:00Z", "2026-01-01 10:00:00"),
        ("2026-01-01T10:00:00+02:00", "2026-01-01 08:00:00"),
        ("2026-01-01T10:00:00-0330", "2026-01-01 13:30:00"),
        ("2026-01-01T10:00:00.000+0000", "2026-01-01 10:00:00"),
        ("2026-01-01 10:00:00.123456789", "2026-01-01 10:00:00.123456"),
        ("2026-01-01 10:00 UTC", "2026-01-01 10:00:00"),
        ("2026-01-01T10:00Z", "2026-01-01 10:00:00"),
        ("2026-01-01T10:00+01:00", "2026-01-01 09:00:00"),
        ("2026-01-01", "2026-01-01 00:00:00"),
        ("20260101101500", "2026-01-01 10:15:00"),
        ("20260101", "2026-01-01 00:00:00"),
    ],
)
def test_a_timestamp_is_kept_in_utc(loading, thing, written, instant):
    """A cast to timestamp drops the offset: every order of New York is hours early."""
    loading.load(thing("csv"), f"id,at\n1,{written}\n".encode())

    assert loading.rows('select "at"::varchar from dlo.thing') == [(instant,)]


@pytest.mark.parametrize(
    ("written", "truth"),
    [
        ("true", True),
        ("X", True),
        ("1", True),
        ("Y", True),
        ("FALSE", False),
        ("0", False),
    ],
)
def test_a_boolean_has_the_spellings_that_sources_use(loading, thing, written, truth):
    loading.load(thing("csv"), f"id,at,gone\n1,2026-01-01,{written}\n".encode())

    assert loading.rows("select gone, _is_deleted from dlo.thing") == [(truth, truth)]


def test_numbers_in_texts_and_texts_as_numbers_are_read(loading, thing):
    record = {"id": 1, "at": AT, "name": 5, "count": " 7 ", "amount": "12.50"}

    loading.load(thing("ndjson"), json.dumps(record).encode())

    assert loading.rows("select id, name, count, amount::varchar from dlo.thing") == [
        ("1", "5", 7, "12.5000")
    ]


def test_a_key_is_kept_as_sent_and_a_whole_number_in_one_spelling(loading, thing):
    fields = thing().model_dump()["fields"] | {"number": "integer"}
    spec = thing("csv", primary_key=["id", "number"], fields=fields)

    result = loading.load(spec, b"id,number,at\n007,007,2026-01-01\n007,7,2026-01-01\n")

    assert (result.inserted, result.superseded) == (1, 1)
    assert loading.rows("select _record_id from dlo.thing") == [("thing:007|7",)]


def test_files_with_columns_in_another_order_load_together(loading, thing):
    loading.load(
        thing("csv"),
        b"id,at,name\n1,2026-01-01,a\n",
        b"name,id,at\nb,2,2026-01-01\n",
        b"at,name,id\n2026-01-01,c,3\n",
    )

    assert loading.rows("select id, name from dlo.thing order by 1") == [
        ("1", "a"),
        ("2", "b"),
        ("3", "c"),
    ]


def test_a_suffix_tells_the_format_of_what_another_producer_lands(loading, thing):
    """The API lands NDJSON for a stream whose partner sends CSV."""
    spec = thing("csv", connection={"encoding": "utf-16", "delimiter": ";"})
    line = json.dumps({"id": "1", "at": AT, "name": "é"}, ensure_ascii=False).encode()

    loading.load(spec, line, name="batch.ndjson")

    assert loading.rows("select name from dlo.thing") == [("é",)]


def test_ndjson_with_mixed_line_ends_and_blank_lines_has_right_lines(loading, thing):
    def line(place):
        return json.dumps({"id": str(place), "at": AT}).encode()

    content = line(1) + b"\r\n\r\n" + line(3) + b"\n\n" + line(5) + b"\r\n" + line(6)

    result = loading.load(thing("ndjson"), content)

    assert result.rows_in == 4
    assert loading.rows("select id::int, _line from dlo.thing order by 1") == [
        (1, 1),
        (3, 3),
        (5, 5),
        (6, 6),
    ]


def test_lines_are_counted_over_fields_with_line_breaks_file_by_file(loading, thing):
    content = (
        b'id,at,name\n%d,2026-01-01,"a\nb\n"\n%d,2026-01-01,"c\nd"\n%d,2026-01-01,'
    )

    loading.load(thing("csv"), content % (1, 2, 3), content % (4, 5, 6))

    assert loading.rows("select id, _line from dlo.thing order by 1") == [
        ("1", 2),
        ("2", 5),
        ("3", 7),
        ("4", 2),
        ("5", 5),
        ("6", 7),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_lines_of_a_large_csv_are_right_after_fields_with_line_breaks(
    loading, thing, end
):
    """DuckDB stages rows in parallel: with a join in the way they came in any order."""
    rows, line = [], 2
    for number in range(260_000):
        broken = number % 1000 == 7
        name = f'"one{end}two"' if broken else "three"
        rows.append(f"{line},{AT},{name}")
        line += 2 if broken else 1
    content = end.join(["id,at,name", *rows]) + end

    loading.load(thing("csv"), content.encode(), b"id,at\n2,2025-01-01\n")

    assert loading.rows(
        "select count(*), count(*) filter (_line = id::bigint) from dlo.thing"
    ) == [(260_000, 260_000)]


@pytest.mark.parametrize("format_", ["ndjson", "parquet"])
def test_the_lines_of_a_large_file_are_right(loading, thing, format_):
    loading.connection.execute(
        f"""
        copy (
            select (range + 1)::varchar as id, '{AT}' as at, range % 7 as count,
                true as gone, 1.5 as amount, date '2026-01-01' as born,
                {{'a': range}} as more
            from range(260000)
        ) to '{loading.paths.root}/big.{format_}'
        (format {"json" if format_ == "ndjson" else format_})
        """
    )
    content = (loading.paths.root / f"big.{format_}").read_bytes()

    loading.load(thing(format_), content, name=f"big.{format_}")

    assert loading.rows(
        "select count(*), count(*) filter (_line = id::bigint) from dlo.thing"
    ) == [(260_000, 260_000)]


CELL = st.text(st.sampled_from('ab",;\n\r\té 1'), max_size=6)


@pytest.fixture(scope="module")
def stage_connection():
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        migrate(connection)
        yield connection


def staged(connection, spec, content, *, carefully):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_bytes(content)
        found = scan(path, "utf-8", Path(folder))
        create_stage(connection, spec, dt.datetime(2026, 11, 1))
        header = header_of(found, ",")
        failed = [0]
        if not carefully:
            failed = stage_fast(connection, spec, ",", header, {0: found}, stage)
        if failed:
            stage_carefully(connection, spec, ",", header, 0, found, stage)
        return connection.execute(
            """
            select kind, "f_id", "f_name", reason,
                coalesce(line, 2 + rowid + coalesce(sum(newlines) over (
                    order by rowid rows between unbounded preceding and 1 preceding
                ), 0))
            from stage order by rowid
            """
        ).fetchall()


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_csv_writes_is_read_back(stage_connection, thing_of_texts, rows, end):
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "name", "more"), *rows])

    found = staged(
        stage_connection, thing_of_texts, sink.getvalue().encode(), carefully=False
    )

    assert [(id_, name) for _, id_, name, _, _ in found] == [
        (id_ or None, name or None) for id_, name, _ in rows
    ]


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from('ab",\n1'), max_size=40))
def test_the_fast_and_the_careful_csv_reader_agree_on_any_text(
    stage_connection, thing_of_texts, text
):
    """Which of two readers a file gets must not decide what it says."""
    content = b"id,name,more\n" + text.encode()

    fast = staged(stage_connection, thing_of_texts, content, carefully=False)
    careful = staged(stage_connection, thing_of_texts, content, carefully=True)

    assert fast == careful


@pytest.fixture(scope="module")
def thing_of_texts() -> StreamSpec:
    return StreamSpec.model_validate(
        {
            "name": "thing",
            "source_system": "test",
            "source_object": "Thing",
            "description": "Things.",
            "connection": {"format": "csv"},
            "category": "profile",
            "primary_key": ["id"],
            "refresh_mode": "upsert",
            "schedule": "0 * * * *",
            "retention_days": 1,
            "freshness_hours": 1,
            "expected_records_per_day": 1,
            "fields": {"id": "string", "name": "string", "more": "string"},
        }
    )
