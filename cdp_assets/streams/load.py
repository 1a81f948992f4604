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
from cdp_assets.streams import absence
from cdp_assets.streams.budget import Budget, budget_of, waves
from cdp_assets.streams.compacted import (
    Manifest,
    manifest_of,
    register,
    stage_compacted,
)
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.fold import fold
from cdp_assets.streams.landing import fingerprint, is_compacted, known, waiting
from cdp_assets.streams.ledger import (
    LoadResult,
    next_load_seq,
    record_files,
    record_load,
    record_quarantine,
    result_of,
)
from cdp_assets.streams.places import place_rows
from cdp_assets.streams.readers import Reading, encoding_of, numbered, read_files
from cdp_assets.streams.scan import Scan, UnreadableError, scan, work_folder
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import BLANK, create_stage, drop_stage
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


def load_compacted(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    path: Path,
    *,
    started_at: dt.datetime,
) -> LoadResult:
    """Load those originals of a compacted file that the ledger does not know.

    In any case the ledger knows afterwards that the file holds them.
    """
    try:
        manifest = manifest_of(connection, path)
    except (UnreadableError, FileNotFoundError) as error:
        return LoadResult(notes=(f"compacted file left alone: {error}",))
    contents, _ = known(connection, spec)
    new = {
        number: found
        for number, found in manifest.scans(path).items()
        if found.sha256 not in contents
    }
    # A full extract is folded by itself, for what it lacks was deleted.
    at_once = (
        [new]
        if spec.refresh_mode != "full_refresh"
        else [{number: found} for number, found in new.items()]
    )
    total = LoadResult()
    for scans in filter(None, at_once):
        total += _load_originals(connection, spec, path, manifest, scans, started_at)
    with transaction(connection):
        register(connection, path, manifest)
    return total


def _load_originals(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    path: Path,
    manifest: Manifest,
    scans: dict[int, Scan],
    started_at: dt.datetime,
) -> LoadResult:
    wanted = [number in scans for number in range(len(manifest.originals))]
    create_stage(connection, spec, started_at)
    try:
        stage_compacted(connection, spec, path, manifest.format, wanted)
        files = {number: found.path.name for number, found in scans.items()}
        describe_files(connection, files, {})
        place_rows(connection)
        with transaction(connection):
            return _commit(connection, spec, scans, Reading(), [], started_at)
    finally:
        drop_stage(connection)


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
                return _commit(connection, spec, scans, reading, notes, started_at)
        finally:
            drop_stage(connection)


def _commit(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    scans: dict[int, Scan],
    reading: Reading,
    notes: list[str],
    started_at: dt.datetime,
) -> LoadResult:
    ensure_table(connection, spec)
    load_seq = next_load_seq(connection)
    quarantined = record_quarantine(connection, spec, load_seq)
    is_whole = spec.refresh_mode == "full_refresh"
    if is_whole and (quarantined or reading.refused or _is_empty(connection)):
        is_whole = False
        notes.append("not a whole extract: nothing was deleted for being absent")
    if is_whole:
        (extract,) = scans.values()
        absence.supersede_held(connection, spec)
        if why := absence.reason_to_hold(connection, spec, extract.sha256):
            result = LoadResult(load_seq, held_files=1, notes=(*notes, f"held: {why}"))
            record_files(connection, spec, scans, {}, load_seq, held=why)
            record_load(connection, spec, result, started_at)
            return result
    folded = fold(connection, spec, load_seq, started_at, is_whole=is_whole)
    if folded.absent:
        notes.append(f"{folded.absent} deleted for being absent from the extract")
    refused = {n: why for n, why in reading.refused.items() if n in scans}
    result = result_of(
        folded,
        load_seq,
        quarantined=quarantined,
        files=len(scans) - len(refused),
        unreadable_files=len(refused),
        notes=(*notes, *numbered(reading.notes, len(scans))),
    )
    record_files(connection, spec, scans, refused, load_seq)
    record_load(connection, spec, result, started_at)
    return result


def describe_files(
    connection: duckdb.DuckDBPyConnection,
    files: dict[int, str],
    first_lines: dict[int, int],
) -> None:
    """Say which files were staged: table ``staged_file``."""
    connection.execute(
        f"""
        create or replace temp table staged_file as
        select file_no, file, first_line, first_row, rows
        from (
            select unnest($numbers) as file_no, unnest($files) as file,
                unnest($first_lines) as first_line
        )
        left join (
            select file_no, min(rowid) as first_row,
                count(*) filter (kind <> {BLANK}) as rows
            from stage group by file_no
        ) using (file_no)
        """,
        {
            "numbers": list(files),
            "files": list(files.values()),
            "first_lines": [first_lines.get(number, 1) for number in files],
        },
    )


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


def _is_empty(connection: duckdb.DuckDBPyConnection) -> bool:
    row = connection.execute(
        "select coalesce(sum(rows), 0) from staged_file"
    ).fetchone()
    return row is None or row[0] == 0


def _gone(path: Path) -> str:
    return f"{path.name} went away or changed while it was read; the next load takes it"
