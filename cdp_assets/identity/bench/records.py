"""The labelled file as a data stream, declared from its header and its map."""

import csv
import datetime as dt
from dataclasses import dataclass
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
    for encoding in _ENCODINGS:
        try:
            with path.open(encoding=encoding) as file:
                header = file.readline().removeprefix("\ufeff")
                for _ in file:
                    pass
            break
        except UnicodeDecodeError:
            continue
        except OSError as error:
            raise OperatorError(f"{path}: cannot be read: {error.strerror}") from None
    delimiter = max(",;\t|", key=header.count)
    columns = next(csv.reader([header], delimiter=delimiter), [])
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if not columns or twice:
        raise OperatorError(
            f"{path.name}: line 1: expected the names of the columns, each once"
            + (f"; {twice[0]!r} stands there twice" if twice else "")
        )
    return Layout(columns, delimiter, encoding)


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
            + ("; ".join(done.notes) or "it has none")
        )
    refresh_phones(connection, [spec])
    return done
