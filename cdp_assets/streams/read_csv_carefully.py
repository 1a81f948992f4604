"""Reading damaged CSV record by record: where each begins, and what is wrong in it."""

import csv
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.streams.columns import match_columns
from cdp_assets.streams.read_csv import Header, columns_of, record_of, strange_in
from cdp_assets.streams.scan import Scan
from cdp_assets.streams.sources import Source, Stager
from cdp_assets.streams.spec import StreamSpec

_SLOW_ROWS = 50_000


# An open quote may swallow the rest of a file; the whole of it stays in landing.
_RAW_CHARACTERS = 100_000


def stage_carefully(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    delimiter: str,
    header: Header,
    number: int,
    scan: Scan,
    into: Stager,
) -> None:
    """Stage one file record by record; what is no record is marked with its reason."""
    import pyarrow as pa

    width = len(header.names)
    schema = pa.schema(
        [("line", pa.int64()), ("broken", pa.string()), ("raw", pa.string())]
        + [(f"c{position}", pa.string()) for position in range(width)]
    )
    matched = match_columns(spec, header.names)
    strange = strange_in(spec, matched)
    source = Source(
        sql="careful_rows",
        columns=columns_of(spec, matched),
        undeclared=strange.undeclared,
        drifted=strange.drifted,
        record=f"coalesce(raw, {record_of(width)})",
        file_no=str(number),
        line="line",
        fault="broken",
        parameters=strange.parameters | {"names": header.keys()},
    )
    rows = _careful_rows(scan.text, delimiter, width)
    while batch := list(islice(rows, _SLOW_ROWS)):
        arrays = [
            pa.array(values, column.type)
            for values, column in zip(zip(*batch, strict=True), schema, strict=True)
        ]
        connection.register("careful_rows", pa.Table.from_arrays(arrays, schema=schema))
        into(connection, spec, source)
        connection.unregister("careful_rows")


def _careful_rows(path: Path, delimiter: str, width: int) -> Iterator[tuple[Any, ...]]:
    """Line, what is wrong with the record, its raw text, then its fields."""
    nothing = (None,) * width
    with path.open(encoding="utf-8", newline="") as source:
        lines = _Lines(source)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        next(filter(None, reader), None)
        while True:
            start = lines.begin()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield start, _damage(error, start, lines.number), lines.raw(), *nothing
                continue
            while len(fields) > width and not fields[-1]:
                # Spreadsheets end lines with delimiters; DuckDB drops them as well.
                fields.pop()
            if len(fields) == width:
                yield start, None, None, *(value or None for value in fields)
            elif fields:
                fault = f"{len(fields)} fields; the header has {width}"
                yield start, fault, json.dumps(fields, ensure_ascii=False), *nothing


class _Lines:
    """The lines of a file, counted; those of the current record remembered."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._taken: list[str] = []
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._source)
        self.number += 1
        self._taken.append(line)
        return line

    def begin(self) -> int:
        """Start a record; returns the number of its first line."""
        self._taken.clear()
        return self.number + 1

    def raw(self) -> str:
        """The record as it stands in the file, as a JSON string."""
        return json.dumps("".join(self._taken)[:_RAW_CHARACTERS], ensure_ascii=False)


def _damage(error: csv.Error, first: int, last: int) -> str:
    where = f"line {first}" if first == last else f"lines {first} to {last}"
    if "unexpected end" in str(error):
        return f"{where}: a quoted field is never closed; is the file cut off?"
    return f"{where}: text after a closing quote; a quote in a field is written twice"
