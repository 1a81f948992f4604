"""Writes the sample's streams as the files their systems would export.

Every stream is a view ``out_<stream>`` with the stream's fields, the export a row
belongs to (0 the initial one, then deltas) and its place there. DuckDB's COPY writes
one file per export and part; nothing here touches single rows.
"""

import shutil
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.samples.pools import literal
from cdp_assets.streams.spec import StreamSpec

# An API page is small because a loader reads it whole; the others stream.
ROWS_PER_FILE = {"json": 10_000, "csv": 500_000, "ndjson": 500_000, "parquet": 500_000}

# The instants of the exports, as days before as_of; sql/macros.sql holds the same.
EXPORT_DAYS = (60, 30, 7, 0)

COPY_OPTIONS = {
    "csv": "format csv, header true",
    "json": "format json",
    "ndjson": "format json",
    "parquet": "format parquet, compression zstd",
}

# Excel saved this one (stream, export, part): it begins with a byte order mark.
WITH_BYTE_ORDER_MARK = ("crm_lead", 0, 0)


@dataclass(frozen=True)
class Part:
    """A run of rows of one export."""

    export: int
    number: int
    first: int
    last: int


class StreamWriter:
    """Writes streams below one folder."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, folder: Path, as_of: datetime
    ) -> None:
        """Write below ``folder`` what the views of ``connection`` hold."""
        self._connection = connection
        self._folder = folder
        self._as_of = as_of
        self._faults: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
        for stream, field, value in connection.execute(
            "select stream, field, value from fault order by all"
        ).fetchall():
            self._faults[stream].append((field, value))

    @property
    def faults(self) -> dict[str, int]:
        """How many unacceptable rows each stream gets."""
        return {stream: len(rows) for stream, rows in self._faults.items()}

    def write(self, spec: StreamSpec, rows: str) -> int:
        """Write every file of a stream; ``rows`` is the relation that counts them.

        Returns:
            How many rows were written, those of the faulty file included.
        """
        folder = self._folder / spec.name
        folder.mkdir(parents=True)
        parts = self._parts(rows, ROWS_PER_FILE[spec.connection.format])
        for part in parts:
            path = self._path(spec, part)
            self._copy(self._selection(spec, part), spec, path)
            if (spec.name, part.export, part.number) == WITH_BYTE_ORDER_MARK:
                _mark(path)
        return sum(part.last - part.first + 1 for part in parts) + self._faulty(spec)

    def write_truth(self) -> int:
        """Write ``truth.csv`` and ``traps.csv``; return the rows of the truth."""
        counts = [
            self._connection.execute(
                f"copy (from {quoted('out_' + name)}) to "
                f"{literal(self._folder / f'{name}.csv')} (format csv, header true)"
            ).fetchall()[0][0]
            for name in ("truth", "traps")
        ]
        return int(counts[0])

    def _parts(self, rows: str, size: int) -> list[Part]:
        counts = self._connection.execute(
            f"select export, count(*) from {quoted(rows)} group by all order by all"
        ).fetchall()
        return [
            Part(export, number, first, min(first + size - 1, count))
            for export, count in counts
            for number, first in enumerate(range(1, count + 1, size))
        ]

    def _selection(self, spec: StreamSpec, part: Part) -> str:
        return (
            f"select {_columns(spec)}, _seq from {quoted('out_' + spec.name)} "
            f"where _export = {part.export} and _seq between {part.first} "
            f"and {part.last}"
        )

    def _copy(self, rows: str, spec: StreamSpec, path: Path) -> None:
        """Write ``rows`` in the order of their ``_seq``."""
        if spec.connection.record_path is None:
            selection = f"select {_columns(spec)} from ({rows}) order by _seq"
        else:
            page = quoted(spec.connection.record_path)
            record = ", ".join(f"{quoted(f)} := {quoted(f)}" for f in spec.fields)
            selection = (
                f"select list(struct_pack({record}) order by _seq) as {page} "
                f"from ({rows})"
            )
        options = COPY_OPTIONS[spec.connection.format]
        self._connection.execute(f"copy ({selection}) to {literal(path)} ({options})")

    def _path(self, spec: StreamSpec, part: Part) -> Path:
        day = self._as_of - timedelta(days=EXPORT_DAYS[part.export])
        name = f"{spec.source_object}_{day:%Y%m%d}_{part.number + 1:03}"
        return self._folder / spec.name / f"{name}.{spec.connection.format}"

    def _faulty(self, spec: StreamSpec) -> int:
        """Write the stream's unacceptable rows, each beside a good one sent again."""
        faults = self._faults.get(spec.name)
        if not faults:
            return 0
        rows = [self._selection(spec, Part(0, 0, 1, len(faults)))]
        rows += [
            self._spoilt(spec, number, *fault) for number, fault in enumerate(faults)
        ]
        union = " union all ".join(f"from ({row})" for row in rows)
        path = (
            self._folder
            / spec.name
            / (
                f"{spec.source_object}_{self._as_of:%Y%m%d}_resent.{spec.connection.format}"
            )
        )
        self._copy(union, spec, path)
        return 2 * len(faults)

    def _spoilt(
        self, spec: StreamSpec, number: int, field: str, value: str | None
    ) -> str:
        """The first row with a fault in it, placed after the good ones."""
        row = self._selection(spec, Part(0, 0, 1, 1))
        text = "null" if value is None else f"'{value}'"
        return (
            f"select * replace ({text} as {quoted(field)}, {1000 + number} as _seq) "
            f"from ({row})"
        )


def _columns(spec: StreamSpec) -> str:
    return ", ".join(quoted(field) for field in spec.fields)


def _mark(path: Path) -> None:
    """Put a byte order mark before the file's first byte."""
    marked = path.with_suffix(".marked")
    with path.open("rb") as source, marked.open("wb") as target:
        target.write(b"\xef\xbb\xbf")
        shutil.copyfileobj(source, target)
    marked.replace(path)
