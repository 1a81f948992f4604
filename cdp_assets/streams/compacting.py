"""Writing a compacted file: every row of its originals, as sent, with file and line."""

import re
from pathlib import Path

import duckdb

from cdp_assets.streams.commit import describe_files
from cdp_assets.streams.compacted import FILE, KEY, LINE, NUMBER, Manifest
from cdp_assets.streams.places import LINE as PLACED_LINE
from cdp_assets.streams.places import PLACED, place_rows
from cdp_assets.streams.readers import read_files
from cdp_assets.streams.reading import encoding_of
from cdp_assets.streams.scan import Scan, scan, work_folder
from cdp_assets.streams.sources import Source
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import BLANK, GOOD, drop_stage

# Rows in the order of arrival and in groups of DuckDB's own size: 122,880.
_OPTIONS = "format parquet, compression zstd, kv_metadata {{{key}: {manifest}}}"


def write_records(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    manifest: Manifest,
    folder: Path,
    target: Path,
) -> dict[int, int]:
    """Write the records of text files.

    Args:
        connection: A connection with no transaction open.
        spec: The stream.
        manifest: The originals.
        folder: Where they are.
        target: The file to write.

    Returns:
        How many rows were written of each original, by its place in the manifest.
    """
    # What is a record at all depends on no field; the fewer are looked for the better.
    # Nor may columns that are not looked for have the file refused.
    keys = {name: spec.fields[name] for name in spec.primary_key}
    bare = spec.model_copy(update={"fields": keys, "on_drift": "evolve"})
    with work_folder(connection) as work:
        scans = _unchanged(spec, manifest, folder, work)
        connection.execute(
            """
            create or replace temp table stage (
                file_no integer, line bigint, newlines integer, kind utinyint,
                fault varchar, record varchar
            )
            """
        )
        try:
            reading = read_files(connection, bare, scans, work, into=keep)
            files = {n: original.file for n, original in enumerate(manifest.originals)}
            describe_files(connection, files, reading.first_lines)
            place_rows(connection)
            connection.execute(
                f"""
                copy (
                    select file as {FILE}, ({PLACED_LINE})::bigint as {LINE},
                        file_no as {NUMBER}, fault as _fault, record
                    from {PLACED} where kind <> {BLANK}
                ) to '{_quoted(str(target))}' ({_options(manifest)})
                """
            )
        finally:
            drop_stage(connection)
    return _counts(connection, target)


def write_columns(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    manifest: Manifest,
    folder: Path,
    target: Path,
) -> dict[int, int]:
    """Write the rows of Parquet files of one schema; as ``write_records``."""
    with work_folder(connection) as work:
        scans = _unchanged(spec, manifest, folder, work)
        if len(scans) < len(manifest.originals):
            return {n: manifest.originals[n].rows for n in scans}
        connection.execute(
            f"""
            copy (
                select $names[file_index::bigint + 1] as {FILE},
                    file_row_number + 1 as {LINE}, file_index::integer as {NUMBER},
                    * exclude (file_row_number, file_index)
                from (
                    select *, file_index
                    from read_parquet($files, file_row_number = true)
                )
            ) to '{_quoted(str(target))}' ({_options(manifest)})
            """,
            {
                "names": [original.file for original in manifest.originals],
                "files": [str(found.text) for found in scans.values()],
            },
        )
        return _counts(connection, target)


def keep(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, source: Source
) -> None:
    """Stage a source's rows as they were sent."""
    query = f"""
        insert into stage
        select {source.file_no}, {source.line}, {source.newlines},
            case when {source.blank} then {BLANK} else {GOOD} end, fault,
            {source.record}
        from (select *, {source.fault} as fault from {source.sql})
    """
    # What reads columns that are not declared is no part of it.
    named = set(re.findall(r"\$(\w+)", query))
    connection.execute(
        query, {key: source.parameters[key] for key in named & source.parameters.keys()}
    )


def _unchanged(
    spec: StreamSpec, manifest: Manifest, folder: Path, work: Path
) -> dict[int, Scan]:
    """The originals that are there and hold what the ledger says."""
    scans = {}
    for number, original in enumerate(manifest.originals):
        path = folder / original.file
        try:
            found = scan(path, encoding_of(spec, path.name), work)
        except FileNotFoundError:
            continue
        if found.sha256 == original.sha256:
            scans[number] = found
    return scans


def _counts(connection: duckdb.DuckDBPyConnection, target: Path) -> dict[int, int]:
    return dict(
        connection.execute(
            f"select {NUMBER}, count(*) from read_parquet(?) group by 1", [str(target)]
        ).fetchall()
    )


def _options(manifest: Manifest) -> str:
    return _OPTIONS.format(key=KEY, manifest=f"'{_quoted(manifest.to_text())}'")


def _quoted(text: str) -> str:
    # COPY takes no parameters for what it writes to.
    return text.replace("'", "''")
