"""The labelled file as a data stream, declared from its header and its map."""

import codecs
import contextlib
import csv
import datetime as dt
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.bench.declared import BenchMap
from cdp_assets.streams.dlo import ensure_tables
from cdp_assets.streams.ledger import LoadResult
from cdp_assets.streams.load import load
from cdp_assets.streams.reference import refresh_phones
from cdp_assets.streams.spec import StreamSpec

STREAM = "bench_record"
_ENCODINGS = ("utf-8", "windows-1252")
_QUOTED = re.compile(r'"[^"]*"?')


@dataclass(frozen=True)
class Layout:
    """How a file is written."""

    columns: list[str]
    delimiter: str
    encoding: str


def layout_of(path: Path) -> Layout:
    """Look at the header.

    Raises:
        OperatorError: No readable header, or two columns of one name.
    """
    encoding = _encoding_of(path)
    with path.open(encoding=encoding, newline="") as file:
        header = file.readline().removeprefix("\ufeff")
        delimiter = max(",;\t|", key=_QUOTED.sub("", header).count)
        # A name may hold a line break.
        columns = next(csv.reader(chain([header], file), delimiter=delimiter), [])
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if not columns or twice:
        raise OperatorError(
            f"{path.name}: line 1: expected the names of the columns, each once"
            + (f"; {twice[0]!r} stands there twice" if twice else "")
        )
    return Layout(columns, delimiter, encoding)


def _encoding_of(path: Path) -> str:
    """How the whole file can be read."""
    try:
        with path.open("rb") as file:
            if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16"
        for encoding in _ENCODINGS:
            with contextlib.suppress(UnicodeDecodeError):
                with path.open(encoding=encoding) as text:
                    for _ in text:
                        pass
                return encoding
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror}") from None
    raise OperatorError(
        f"{path.name}: neither UTF-8 nor Windows-1252; save it as UTF-8"
    )


def column_fields(declared: BenchMap) -> dict[str, str]:
    """Per column that is read the field of the stream that holds it."""
    return {column: f"field_{n}" for n, column in enumerate(declared.columns())}


def stream_of(declared: BenchMap, layout: Layout) -> StreamSpec:
    """The declaration that somebody would write for the file."""
    fields = column_fields(declared)
    country = declared.attributes.get("country_name")
    phones = declared.attributes.get("telephone_number")
    return StreamSpec.model_validate(
        {
            "name": STREAM,
            "source_system": "bench",
            "source_object": "record",
            "description": "A labelled file.",
            "connection": {
                "format": "csv",
                "delimiter": layout.delimiter,
                "encoding": layout.encoding,
            },
            "category": "profile",
            "primary_key": tuple(
                dict.fromkeys((fields[declared.source], fields[declared.key]))
            ),
            "refresh_mode": "upsert",
            "ignored_fields": [c for c in layout.columns if c and c not in fields],
            "schedule": "0 0 1 1 *",
            "retention_days": 1,
            "freshness_hours": 1,
            "expected_records_per_day": 0,
            "phones": [
                {
                    "number": fields[column],
                    "country": fields[country.columns[0]] if country else None,
                }
                for column in (phones.columns if phones else [])
            ],
            "fields": {
                field: {"type": "string", "sent_as": column}
                for column, field in fields.items()
            },
        }
    )


def load_records(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    spec: StreamSpec,
    started_at: dt.datetime,
) -> LoadResult:
    """Load the file as every stream is loaded, its phone numbers worked out.

    Raises:
        OperatorError: Nothing of it could be loaded.
    """
    ensure_tables(connection, [spec])
    done = load(connection, spec, [path], started_at=started_at)
    if not done.inserted:
        raise OperatorError(
            f"{path.name}: no record could be loaded: "
            + (refusals(connection, spec) or "; ".join(done.notes) or _nothing(done))
        )
    refresh_phones(connection, [spec])
    return done


def _nothing(done: LoadResult) -> str:
    return (
        "it cannot be read as CSV; look for NUL bytes and unclosed quotes"
        if done.unreadable_files
        else "it has none"
    )


def refusals(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> str:
    """Where and why the first row was refused, in the words of the file; "" if none."""
    found = connection.execute(
        """
        select line, field, reason from ops.quarantine where stream = ?
        order by line nulls first, field, reason limit 1
        """,
        [STREAM],
    ).fetchall()
    if not found:
        return ""
    line, field, reason = found[0]
    column = spec.fields[field].sent_as if field in spec.fields else field
    place = [f"line {line}"] if line else []
    return ": ".join([*place, *([repr(column)] if column else []), reason])
