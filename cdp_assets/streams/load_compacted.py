"""Loading from compacted files: after a restore, a lost warehouse, or a killed one."""

import datetime as dt
from pathlib import Path

import duckdb

from cdp_assets.streams.commit import commit, describe_files
from cdp_assets.streams.compacted import (
    Manifest,
    manifest_of,
    register,
    stage_compacted,
)
from cdp_assets.streams.landing import known
from cdp_assets.streams.ledger import LoadResult
from cdp_assets.streams.places import place_rows
from cdp_assets.streams.reading import Reading
from cdp_assets.streams.scan import Scan, UnreadableError
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import create_stage, drop_stage
from cdp_assets.warehouse import transaction


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
            return commit(connection, spec, scans, Reading(), [], started_at)
    finally:
        drop_stage(connection)
