"""Reading CSV with DuckDB's parallel reader.

DuckDB reads all files with the same header in one pass. Whatever it rejects, and every
file whose lines do not add up (header + rows + line breaks inside them), is read again
record by record (``read_csv_carefully.py``).
"""

import csv
from dataclasses import dataclass

import duckdb

from cdp_assets.streams import drift
from cdp_assets.streams.columns import Matched, match_columns, unique_names
from cdp_assets.streams.scan import Scan, UnreadableError
from cdp_assets.streams.sources import Column, Source, Stager
from cdp_assets.streams.spec import StreamSpec

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
    strange = strange_in(spec, matched)
    into(
        connection,
        spec,
        Source(
            sql=relation,
            columns=columns_of(spec, matched),
            undeclared=strange.undeclared,
            drifted=strange.drifted,
            record=record_of(width),
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


def columns_of(spec: StreamSpec, matched: Matched) -> dict[str, Column]:
    """How to get at each declared field that a file has."""
    keeps = spec.connection.empty_cell == "keeps"
    return {
        name: Column(f"c{at}", said=f"c{at} is not null" if keeps else "true")
        for name, at in matched.positions.items()
    }


def strange_in(spec: StreamSpec, matched: Matched) -> drift.Strange:
    """What becomes of a file's undeclared columns."""
    return drift.strange_columns(
        spec, {name: f"c{at}" for name, at in matched.undeclared.items()}
    )


def record_of(width: int) -> str:
    """The record as JSON text, by the names in $names."""
    cells = ", ".join(f"c{position}" for position in range(width))
    return f"to_json(map($names::varchar[], [{cells}]))::varchar"
