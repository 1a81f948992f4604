"""Reading CSV: DuckDB's parallel reader, and a slow careful one for damaged files.

DuckDB reads all files with the same header in one pass. Whatever it rejects, and every
file whose lines do not add up (header + rows + line breaks inside them), is read again
record by record with Python's ``csv``, which knows where each record begins and what is
wrong with it.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.streams import drift
from cdp_assets.streams.columns import Matched, match_columns, unique_names
from cdp_assets.streams.scan import Scan, UnreadableError
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import Column, Source, Stager

_SLOW_ROWS = 50_000
# An open quote may swallow the rest of a file; the whole of it stays in landing.
_RAW_CHARACTERS = 100_000
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Header:
    """The first record of a file."""

    names: tuple[str, ...]
    lines: int

    def keys(self) -> list[str]:
        """The names as the keys of a record, fit to be read again by name."""
        return unique_names([name.strip() for name in self.names])


def header_of(scan: Scan, delimiter: str) -> Header:
    """Read the header.

    Raises:
        UnreadableError: It has an open quote.
    """
    with scan.text.open(encoding="utf-8", newline="") as source:
        reader = csv.reader(source, delimiter=delimiter, strict=True)
        try:
            names = next(filter(None, reader), [])
        except csv.Error as error:
            raise UnreadableError(f"the header is damaged: {error}") from error
        return Header(tuple(names), reader.line_num)


def stage_fast(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    delimiter: str,
    header: Header,
    scans: dict[int, Scan],
    into: Stager,
) -> list[int]:
    """Stage files that share a header, in one pass.

    Returns:
        The numbers of those that need the careful reader; nothing of them is staged.

    Raises:
        duckdb.Error: The reader gave up; nothing is staged.
    """
    numbers = list(scans)
    if header.lines != 1 or len(header.names) == 1:
        return numbers
    width = len(header.names)
    columns = ", ".join(f"'c{position}': 'varchar'" for position in range(width))
    cells = [f"c{position}" for position in range(width)]
    joined = f"concat({', '.join(cells)})"
    # Putting a row's cells together costs twice what looking into each does.
    is_broken = " or ".join(f"contains({cell}, chr(10))" for cell in cells)
    relation = f"""(
        select *, $numbers[file_index::bigint + 1] as file_no
        from read_csv(
            $files, columns = {{{columns}}}, header = true, auto_detect = false,
            delim = $delimiter, quote = '"', escape = '"', strict_mode = true,
            nullstr = '', ignore_errors = true
        )
    )"""
    matched = match_columns(spec, header.names)
    strange = _strange(spec, matched)
    into(
        connection,
        spec,
        Source(
            sql=relation,
            columns=_columns(spec, matched),
            undeclared=strange.undeclared,
            drifted=strange.drifted,
            record=_record(width),
            newlines=f"case when {is_broken} "
            f"then strlen({joined}) - strlen(replace({joined}, chr(10), '')) "
            "else 0 end",
            parameters=strange.parameters
            | {
                "files": [str(scans[number].text) for number in numbers],
                "numbers": numbers,
                "delimiter": delimiter,
                "names": header.keys(),
            },
        ),
    )
    return _suspicious(connection, scans)


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
    strange = _strange(spec, matched)
    source = Source(
        sql="careful_rows",
        columns=_columns(spec, matched),
        undeclared=strange.undeclared,
        drifted=strange.drifted,
        record=f"coalesce(raw, {_record(width)})",
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


def _suspicious(
    connection: duckdb.DuckDBPyConnection, scans: dict[int, Scan]
) -> list[int]:
    """Take files out of the stage whose lines do not add up.

    A row that the reader passed over leaves its lines out of the count, as do blank
    lines and line ends of two kinds.
    """
    counted = {
        number: rows + breaks
        for number, rows, breaks in connection.execute(
            """
            select file_no, count(*), sum(newlines) from stage
            where file_no in (select unnest(?)) group by all
            """,
            [list(scans)],
        ).fetchall()
    }
    suspicious = [
        number
        for number, scan in scans.items()
        if counted.get(number, 0) + 1 != scan.lines
    ]
    if suspicious:
        connection.execute(
            "delete from stage where file_no in (select unnest(?))", [suspicious]
        )
    return suspicious


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


def _columns(spec: StreamSpec, matched: Matched) -> dict[str, Column]:
    keeps = spec.connection.empty_cell == "keeps"
    return {
        name: Column(f"c{at}", said=f"c{at} is not null" if keeps else "true")
        for name, at in matched.positions.items()
    }


def _strange(spec: StreamSpec, matched: Matched) -> drift.Strange:
    return drift.strange_columns(
        spec, {name: f"c{at}" for name, at in matched.undeclared.items()}
    )


def _record(width: int) -> str:
    cells = ", ".join(f"c{position}" for position in range(width))
    return f"to_json(map($names::varchar[], [{cells}]))::varchar"
