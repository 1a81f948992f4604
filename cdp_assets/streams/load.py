"""One load: files into the stream's table, with every row answered for.

Files are read into a staging table first, outside of any transaction, so that a damaged
one costs only itself. Then one transaction folds the rows, files the refused ones in
quarantine, and writes the ledger: after a crash all of it is there or none.
"""

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import duckdb

from cdp_assets.paths import Paths
from cdp_assets.streams.arrivals import fingerprint, is_compacted
from cdp_assets.streams.budget import Budget, budget_of, waves
from cdp_assets.streams.commit import commit, describe_files
from cdp_assets.streams.landing import known, waiting
from cdp_assets.streams.ledger import (
    LoadResult,
)
from cdp_assets.streams.load_compacted import load_compacted
from cdp_assets.streams.places import place_rows
from cdp_assets.streams.readers import read_files
from cdp_assets.streams.reading import encoding_of
from cdp_assets.streams.scan import Scan, scan, work_folder
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import create_stage, drop_stage
from cdp_assets.warehouse import transaction


def load(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    files: Sequence[Path],
    *,
    started_at: dt.datetime,
) -> LoadResult:
    """Fold files into the stream's table, in one transaction with the ledger.

    Files whose content the ledger knows are passed over; without any other nothing is
    written. Files that cannot be read are recorded with the reason and stay in landing.
    A full-refresh file is a whole extract, and each is a transaction of its own.

    Args:
        connection: A writing connection with no transaction open.
        spec: The stream.
        files: Landed files, in the order they arrived.
        started_at: The load's time (UTC), given so that it can be repeated.
    """
    is_whole = spec.refresh_mode == "full_refresh"
    total = LoadResult()
    for compacted, run in groupby(files, key=is_compacted):
        batch = list(run)
        if compacted:
            for path in batch:
                total += load_compacted(connection, spec, path, started_at=started_at)
        elif is_whole:
            for file in batch:
                total += _load_batch(connection, spec, [file], started_at)
        else:
            total += _load_batch(connection, spec, batch, started_at)
    return total


def load_wave(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    *,
    started_at: dt.datetime,
    budget: Budget | None = None,
) -> tuple[LoadResult, int]:
    """Load what one wave may take of what waits.

    Args:
        connection: A writing connection with no transaction open.
        paths: The runtime folder.
        spec: The stream.
        started_at: The load's time (UTC).
        budget: Default the stream's own.

    Returns:
        What was done, and how many files were left for the next wave.
    """
    files = waiting(connection, paths, spec)
    wave = next(waves(spec, files, budget or budget_of(spec)), [])
    return load(connection, spec, wave, started_at=started_at), len(files) - len(wave)


def load_waiting(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    *,
    started_at: dt.datetime,
    budget: Budget | None = None,
) -> LoadResult:
    """Load everything that waits now, wave by wave."""
    total = LoadResult()
    files = waiting(connection, paths, spec)
    for wave in waves(spec, files, budget or budget_of(spec)):
        total += load(connection, spec, wave, started_at=started_at)
    return total


def _load_batch(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    files: Sequence[Path],
    started_at: dt.datetime,
) -> LoadResult:
    with work_folder(connection) as work:
        scans, notes = _scan_new(connection, spec, files, work)
        if not scans:
            return LoadResult(notes=tuple(notes))
        create_stage(connection, spec, started_at)
        try:
            reading = read_files(connection, spec, scans, work)
            for number in reading.vanished:
                notes.append(_gone(scans.pop(number).path))
            if not scans:
                return LoadResult(notes=tuple(notes))
            describe_files(
                connection,
                {number: found.path.name for number, found in scans.items()},
                reading.first_lines,
            )
            place_rows(connection)
            with transaction(connection):
                return commit(connection, spec, scans, reading, notes, started_at)
        finally:
            drop_stage(connection)


def _scan_new(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    files: Sequence[Path],
    work: Path,
) -> tuple[dict[int, Scan], list[str]]:
    """Look at the files whose content is new, once for each content."""
    seen, _ = known(connection, spec)
    prefixes = {content[:16] for content in seen}
    scans: dict[int, Scan] = {}
    notes: list[str] = []
    for number, path in enumerate(files):
        try:
            if fingerprint(path) in prefixes:
                continue
            found = scan(path, encoding_of(spec, path.name), work)
        except FileNotFoundError:
            notes.append(_gone(path))
            continue
        if found.sha256 not in seen:
            seen.add(found.sha256)
            scans[number] = found
    return scans, notes


def _gone(path: Path) -> str:
    return f"{path.name} went away or changed while it was read; the next load takes it"
