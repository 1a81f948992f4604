"""``cdp backup``: what no run could derive again, as Parquet and a manifest.

What our own stages write is saved, what dbt builds is not: the next run builds it. So
the id registry and links, redirects, changes, decisions, labelled pairs, held batches,
match models, memberships, remembered opt-outs, planned and sent changes, marks, loads,
the ledger and the quarantine are in it, and the DLO tables too, because raw files
expire by retention. So are the outbox with its receipts, which fields of profiles
changed, the pinned clock, and landed files that no load has seen. Landed files that
were loaded, the inbox, published profiles and Dagster's history are not. A backup holds
personal data: only its owner can read it.
"""

import contextlib
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from cdp_assets import lock
from cdp_assets.declarations import quoted
from cdp_assets.digests import EMPTY, digest
from cdp_assets.durable import sync
from cdp_assets.operations.contents import (
    EMPTIED,
    migration_of,
    outbox_rows,
    saved_tables,
    schemas_of,
    sequences_of,
    unseen_files,
)
from cdp_assets.operations.manifest import (
    FORMAT,
    NAME,
    BackupError,
    Manifest,
    SavedFile,
    SavedStore,
    SavedTable,
    describe,
    write_manifest,
)
from cdp_assets.paths import Paths
from cdp_assets.publication import saved_history
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import Warehouse, utc_now

KEPT = 14
_NAMED = re.compile(r"\d{8}T\d{6}Z")
_UNFINISHED = ".unfinished-"


def backup(paths: Paths, home: Path | None = None, *, keep: int = KEPT) -> Path:
    """Write a backup, and remove all but the newest ``keep`` beside it.

    Loads and resolutions wait meanwhile; readers and deliveries do not.

    Args:
        paths: The runtime folder.
        home: The folder that it becomes a folder of; default ``Paths.backups``.
        keep: How many backups stay, this one included.

    Returns:
        The backup's folder, complete and on the disk.

    Raises:
        FileNotFoundError: There is no warehouse yet.
        BackupError: ``keep`` is less than one, or another was made this second.
    """
    if keep < 1:
        raise BackupError("at least one backup is kept: the one that is made")
    home = home or paths.backups
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock.held(
        home / ".lock",
        "a backup",
        exclusive=True,
        wait_seconds=3600,
        say=lambda words: None,
    ):
        _sweep(home)
        made_at = utc_now()
        target = home / f"{made_at:%Y%m%dT%H%M%SZ}"
        if target.exists():
            raise BackupError(f"{target} exists already; try again in a second")
        with _unfinished(home) as folder:
            # One lock for all parts: no planned change may be in one and not the other.
            with Warehouse(paths).reading("a backup") as connection:
                manifest = Manifest(
                    format=FORMAT,
                    made_at=made_at,
                    migration=migration_of(connection),
                    as_of=_pinned(paths),
                    schemas=schemas_of(connection),
                    sequences=sequences_of(connection),
                    tables=list(_tables(connection, folder)),
                    outbox=_outbox(paths, folder),
                    field_history=_field_history(paths, folder),
                    landed=list(_landed(connection, paths, folder)),
                )
            write_manifest(folder, manifest)
            _settle(folder)
            folder.rename(target)
        sync(home)
        for old in backups(home)[:-keep]:
            shutil.rmtree(old)
    return target


def backups(home: Path) -> list[Path]:
    """The complete backups in a folder, the oldest first."""
    if not home.is_dir():
        return []
    return sorted(
        path
        for path in home.iterdir()
        if _NAMED.fullmatch(path.name) and (path / NAME).is_file()
    )


def _tables(
    connection: duckdb.DuckDBPyConnection, folder: Path
) -> Iterator[SavedTable]:
    (folder / "tables").mkdir()
    for schema, name, ddl in saved_tables(connection):
        path = folder / "tables" / f"{schema}.{name}.parquet"
        relation = f"{quoted(schema)}.{quoted(name)}"
        emptied = f"{schema}.{name}" in EMPTIED
        (rows,) = connection.execute(
            f"""
            copy (from {relation}{" limit 0" if emptied else ""})
            to '{_literal(path)}' (format parquet, compression zstd)
            """
        ).fetchone() or (0,)
        yield SavedTable(
            schema_name=schema,
            name=name,
            ddl=ddl,
            rows=rows,
            digest=EMPTY if emptied else digest(connection, f"{schema}.{name}"),
            file=describe(folder, path),
        )


def _outbox(paths: Paths, folder: Path) -> SavedStore | None:
    if not paths.outbox.exists():
        return None
    path = folder / "outbox.sqlite"
    with (
        contextlib.closing(sqlite3.connect(paths.outbox, timeout=60)) as source,
        contextlib.closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)
        # One file, not one and its log.
        copy.execute("pragma journal_mode = delete")
        rows = outbox_rows(copy)
    return SavedStore(file=describe(folder, path), rows=rows)


def _field_history(paths: Paths, folder: Path) -> SavedStore | None:
    path = folder / "field_history.sqlite"
    rows = saved_history.save(paths, path)
    return None if rows is None else SavedStore(file=describe(folder, path), rows=rows)


def _landed(
    connection: duckdb.DuckDBPyConnection, paths: Paths, folder: Path
) -> Iterator[SavedFile]:
    for stream in load_streams():
        for path in unseen_files(connection, paths, stream):
            copy = folder / path.relative_to(paths.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            yield describe(folder, copy)


def _pinned(paths: Paths) -> str | None:
    if not paths.pinned_as_of.exists():
        return None
    return paths.pinned_as_of.read_text(encoding="utf-8")


@contextlib.contextmanager
def _unfinished(home: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove what a backup that was killed left."""
    for path in home.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path)


def _settle(folder: Path) -> None:
    """Put every file on the disk, readable by its owner alone."""
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        sync(path)
    sync(folder)


def _literal(path: Path) -> str:
    # COPY takes no parameters.
    return str(path).replace("'", "''")
