"""``cdp restore``: a warehouse and an outbox from a backup, whole or not at all.

Both are built beside the living ones and compared with the manifest first. Then they
take their places under the lock; killed in between, the warehouse refuses to open until
the restore was repeated, because an outbox of another day would send again or never.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from cdp_assets import last_run
from cdp_assets.activation.outbox import Outbox
from cdp_assets.data_actions.spec import load_senders
from cdp_assets.declarations import quoted
from cdp_assets.digests import digest
from cdp_assets.durable import sync
from cdp_assets.operations.contents import outbox_rows
from cdp_assets.operations.manifest import (
    BackupError,
    Manifest,
    SavedStore,
    SavedTable,
    check_files,
    read_manifest,
)
from cdp_assets.paths import Paths
from cdp_assets.publication import saved_history
from cdp_assets.warehouse import Warehouse

ASIDE = ".before-restore"
_SCRATCH = ".restoring-"


def restore(paths: Paths, folder: Path, *, replace: bool = False) -> Manifest:
    """Put a backup in the place of the warehouse and the outbox.

    What dbt builds and what readers see is made by the next run. Changes delivered
    since the backup are sent again then, under the same idempotency keys.

    Args:
        paths: The runtime folder.
        folder: The backup.
        replace: Take the place of a warehouse or outbox that is there; they are set
            aside under the suffix ``.before-restore``.

    Raises:
        BackupError: The backup is none, damaged or newer, or something lives here.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    with Warehouse(paths).locked("a restore"), _no_delivery(paths):
        if not replace:
            _refuse_living(paths)
        for left in paths.root.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left)
        with _scratch(paths) as (warehouse, outbox):
            _build(warehouse, folder, manifest)
            if manifest.outbox:
                _copy_outbox(outbox, folder, manifest.outbox)
            _exchange(paths, warehouse, outbox if manifest.outbox else None)
            _put_beside(paths, folder, manifest)
        paths.restoring.unlink()
    return manifest


def rehearse(paths: Paths, folder: Path) -> Manifest:
    """Read a backup in full as a restore would, and change nothing.

    Raises:
        BackupError: It could not be restored.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    with _scratch(paths) as (warehouse, outbox):
        _build(warehouse, folder, manifest)
        if manifest.outbox:
            _copy_outbox(outbox, folder, manifest.outbox)
    return manifest


def _refuse_living(paths: Paths) -> None:
    if paths.restoring.exists():
        raise BackupError(
            "a restore did not finish here; repeat it with --replace, from the same "
            "backup or another"
        )
    for path in (paths.warehouse, paths.outbox):
        if path.exists():
            raise BackupError(
                f"{path} exists: a restore would replace all that happened since the "
                "backup. Say --replace to do that; what is there is set aside as "
                f"{path.name}{ASIDE}"
            )


def _build(scratch: Path, folder: Path, manifest: Manifest) -> None:
    with contextlib.closing(duckdb.connect(str(scratch))) as connection:
        connection.execute("set timezone = 'UTC'")
        for schema in manifest.schemas:
            connection.execute(f"create schema if not exists {quoted(schema)}")
        for sequence in manifest.sequences:
            name = f"{quoted(sequence.schema_name)}.{quoted(sequence.name)}"
            connection.execute(
                f"create sequence {name} start with {sequence.next_value}"
            )
        for table in manifest.tables:
            _fill(connection, folder, table)


def _fill(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: SavedTable
) -> None:
    connection.execute(table.ddl)
    relation = f"{quoted(table.schema_name)}.{quoted(table.name)}"
    connection.execute(
        f"insert into {relation} by name from read_parquet(?)",
        [str(folder / table.file.path)],
    )
    found = digest(connection, table.full_name)
    if found != table.digest:
        raise BackupError(
            f"{table.full_name} came out as {found}, but was {table.digest} when it "
            "was saved; use another backup"
        )


def _copy_outbox(scratch: Path, folder: Path, saved: SavedStore) -> None:
    os.close(os.open(scratch, os.O_CREAT | os.O_RDWR, 0o600))
    shutil.copyfile(folder / saved.file.path, scratch)
    sync(scratch)
    with contextlib.closing(sqlite3.connect(scratch)) as outbox:
        (verdict,) = outbox.execute("pragma integrity_check").fetchone()
        rows = outbox_rows(outbox)
    if verdict != "ok" or rows != saved.rows:
        raise BackupError(
            f"the outbox came out with {rows} rows, {verdict}; it had {saved.rows}"
        )


def _exchange(paths: Paths, warehouse: Path, outbox: Path | None) -> None:
    paths.restoring.touch()
    for old in (paths.warehouse, paths.outbox):
        # A log that belongs to another file would be replayed into the new one.
        for suffix in ("-wal", "-shm", ".wal"):
            log = old.with_name(old.name + suffix)
            if log.exists():
                log.rename(old.with_name(old.name + ASIDE + suffix))
        if old.exists():
            old.rename(old.with_name(old.name + ASIDE))
    if outbox is not None:
        outbox.rename(paths.outbox)
    warehouse.rename(paths.warehouse)
    sync(paths.root)


def _put_beside(paths: Paths, folder: Path, manifest: Manifest) -> None:
    """Clock, landed files and changes of fields not here; no memory of a last run."""
    if manifest.as_of is None:
        paths.pinned_as_of.unlink(missing_ok=True)
    else:
        paths.pinned_as_of.write_text(manifest.as_of, encoding="utf-8")
    for saved in manifest.landed:
        target = paths.root / saved.path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}")
            shutil.copyfile(folder / saved.path, draft)
            draft.rename(target)
    if manifest.field_history:
        saved_history.put_back(paths, folder / manifest.field_history.file.path)
    last_run.forget(paths)


@contextlib.contextmanager
def _scratch(paths: Paths) -> Iterator[tuple[Path, Path]]:
    """Where both are built: on the same disk, so that a rename puts them in place."""
    paths.root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=paths.root))
    try:
        yield folder / paths.warehouse.name, folder / paths.outbox.name
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _no_delivery(paths: Paths) -> Iterator[None]:
    """Keep deliveries, which do not take the warehouse's lock, from the old outbox."""
    outbox = Outbox(paths.outbox)
    with contextlib.ExitStack() as stack:
        for name in load_senders():
            if not stack.enter_context(outbox.sole_deliverer(name)):
                raise BackupError(f"{name} is being delivered; try again when it is")
        yield
