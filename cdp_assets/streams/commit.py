"""What a load commits: folded rows, quarantine, ledger, in the caller's transaction."""

import datetime as dt

import duckdb

from cdp_assets.streams import absence
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.fold import fold
from cdp_assets.streams.ledger import (
    LoadResult,
    next_load_seq,
    record_files,
    record_load,
    record_quarantine,
    result_of,
)
from cdp_assets.streams.reading import Reading, numbered
from cdp_assets.streams.scan import Scan
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import BLANK


def commit(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    scans: dict[int, Scan],
    reading: Reading,
    notes: list[str],
    started_at: dt.datetime,
) -> LoadResult:
    """Fold what is staged, file what was refused, and write the ledger.

    Args:
        connection: With a filled stage and a transaction open.
        spec: The stream.
        scans: The files, by their number in the stage.
        reading: What came of reading them.
        notes: Remarks so far.
        started_at: The load's time (UTC).
    """
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


def _is_empty(connection: duckdb.DuckDBPyConnection) -> bool:
    row = connection.execute(
        "select coalesce(sum(rows), 0) from staged_file"
    ).fetchone()
    return row is None or row[0] == 0
