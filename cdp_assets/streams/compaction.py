"""Compaction: loaded files become one Parquet file per stream and day.

Thousands of small files a day are slow to list, to back up and to read again. Once
loaded they are rewritten as in compacted.py, and then removed. The order of the steps
is what makes a crash harmless: the compacted file appears under its name by a rename,
the ledger notes it in a transaction, and only then are the originals unlinked. Killed
in between, the next compaction (or load) finds both and finishes.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb

from cdp_assets.durable import sync
from cdp_assets.paths import Paths
from cdp_assets.streams.arrivals import COMPACTED, stamp_of
from cdp_assets.streams.budget import WAVE_BYTES, WAVE_FILES, WAVE_ROWS
from cdp_assets.streams.compacted import OURS, Manifest, Original, register
from cdp_assets.streams.compacting import write_columns, write_records
from cdp_assets.streams.landing import (
    compacted_files,
    discard_unfinished,
    landed,
    waiting,
)
from cdp_assets.streams.load_compacted import load_compacted
from cdp_assets.streams.read_parquet import Schemas
from cdp_assets.streams.reading import format_of
from cdp_assets.streams.scan import Scan, UnreadableError
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import transaction, utc_now

# Somebody who looks at the file that was just loaded should still find it.
GRACE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Compacted:
    """What a compaction did."""

    files: int = 0
    """Landed files that were rewritten."""
    into: int = 0
    """Compacted files written."""
    bytes_before: int = 0
    bytes_after: int = 0
    left: int = 0
    """Files left as they are, because their rows did not come out as loaded."""

    def __add__(self, other: "Compacted") -> "Compacted":
        """Both together."""
        return Compacted(
            self.files + other.files,
            self.into + other.into,
            self.bytes_before + other.bytes_before,
            self.bytes_after + other.bytes_after,
            self.left + other.left,
        )


def compact(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    *,
    now: dt.datetime | None = None,
    grace: dt.timedelta = GRACE,
) -> Compacted:
    """Rewrite a stream's loaded files that are older than ``grace``.

    Files that were not put here by ``land`` carry no time of arrival and stay as they
    are, as do unreadable and empty ones.

    Args:
        connection: A writing connection with no transaction open.
        paths: The runtime folder.
        spec: The stream.
        now: The time (UTC); default the clock.
        grace: How long after its load a file is left alone.
    """
    finish(connection, paths, spec)
    done = Compacted()
    for group in _groups(connection, paths, spec, (now or utc_now()) - grace):
        done += _compact(connection, paths, spec, group)
    return done


def finish(
    connection: duckdb.DuckDBPyConnection, paths: Paths, spec: StreamSpec
) -> None:
    """Complete what a killed compaction or expiry left half done."""
    for path in waiting(connection, paths, spec):
        if path in set(compacted_files(paths, spec.name)):
            load_compacted(connection, spec, path, started_at=utc_now())
    for unfinished in (paths.landing / spec.name / COMPACTED).glob(".compacting-*"):
        unfinished.unlink(missing_ok=True)
    discard_unfinished(paths, spec.name)
    moved = connection.execute(
        """
        select file, compacted_into, expired_at is not null from ops.landed_file
        where stream = ? and (compacted_into is not null or expired_at is not null)
        """,
        [spec.name],
    ).fetchall()
    there = {path.name for path in compacted_files(paths, spec.name)}
    raw = {path.name: path for path in landed(paths, spec.name)}
    for file, compacted_into, is_expired in moved:
        # A compacted file that somebody deleted must not cost the original as well.
        if file in raw and (is_expired or compacted_into in there):
            raw[file].unlink(missing_ok=True)


def _groups(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    loaded_before: dt.datetime,
) -> Iterator[list[tuple[Path, Original]]]:
    """What goes into one compacted file each, in order of arrival."""
    ready = {
        row[0]: Original(*row)
        for row in connection.execute(
            """
            select file, content_sha256, bytes, rows
            from ops.landed_file join ops.load using (stream, load_seq)
            where stream = ? and outcome = 'loaded' and compacted_into is null
                and expired_at is null and finished_at <= ?
            """,
            [spec.name, loaded_before],
        ).fetchall()
    }
    schemas = Schemas(connection)
    place = 0
    candidates = []
    for path in landed(paths, spec.name):
        stamp = stamp_of(path)
        if path.name not in ready or stamp is None:
            # Where arrival decides, a compacted file must not reach over this one.
            place += spec.is_arrival_ordered
            continue
        layout = _layout(spec, path, schemas)
        if layout is not None:
            kind = (place, stamp.date(), layout)
            candidates.append((kind, path, ready[path.name]))
    if not spec.is_arrival_ordered:
        candidates.sort(key=lambda candidate: (candidate[0], candidate[1].name))
    for _, some in groupby(candidates, key=lambda candidate: candidate[0]):
        yield from _parts([(path, original) for _, path, original in some])


def _layout(spec: StreamSpec, path: Path, schemas: Schemas) -> str | None:
    """What files must have in common to share a compacted one; None: left alone."""
    format_ = format_of(spec, path.name)
    if format_ != "parquet":
        return format_
    try:
        schema = schemas.of(Scan(path, 0, 0, "", path))
    except (UnreadableError, FileNotFoundError):
        return None
    if set(OURS) & {name.lower() for name in schema.names}:
        return None
    return f"parquet {schema}"


def _parts(
    files: Sequence[tuple[Path, Original]],
) -> Iterator[list[tuple[Path, Original]]]:
    """Split so that no compacted file is larger than a wave, if it ever waits again."""
    part: list[tuple[Path, Original]] = []
    bytes_ = rows = 0
    for path, original in files:
        bytes_, rows = bytes_ + original.bytes, rows + original.rows
        full = bytes_ > WAVE_BYTES or rows > WAVE_ROWS or len(part) == WAVE_FILES
        if part and full:
            yield part
            part, bytes_, rows = [], original.bytes, original.rows
        part.append((path, original))
    if part:
        yield part


def _compact(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    group: list[tuple[Path, Original]],
) -> Compacted:
    """Write one compacted file, note it, and remove its originals."""
    folder = paths.landing / spec.name / COMPACTED
    folder.mkdir(exist_ok=True)
    format_ = format_of(spec, group[0][0].name)
    write = write_columns if format_ == "parquet" else write_records
    left = 0
    while group:
        manifest = Manifest(spec.name, format_, tuple(each for _, each in group))
        digest = hashlib.sha256(manifest.to_text().encode()).hexdigest()[:16]
        target = folder / f"{group[0][0].name[:22]}-{digest}-{len(group)}.parquet"
        unfinished = folder / f".compacting-{target.name}"
        try:
            found = write(connection, spec, manifest, folder.parent, unfinished)
            good = [
                each for n, each in enumerate(group) if found.get(n, 0) == each[1].rows
            ]
            if len(good) == len(group):
                _publish(unfinished, target)
                break
        finally:
            unfinished.unlink(missing_ok=True)
        left += len(group) - len(good)
        group = good
    if not group:
        return Compacted(left=left)
    with transaction(connection):
        register(connection, target, manifest)
    for path, _ in group:
        path.unlink(missing_ok=True)
    return Compacted(
        files=len(group),
        into=1,
        bytes_before=sum(original.bytes for _, original in group),
        bytes_after=target.stat().st_size,
        left=left,
    )


def _publish(unfinished: Path, target: Path) -> None:
    """Give a written file its name, once its bytes are on the disk."""
    sync(unfinished)
    unfinished.rename(target)
    sync(target.parent)
