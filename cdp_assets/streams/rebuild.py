"""Folding the kept files again: ``cdp stream backfill`` and ``cdp stream reset``.

The files are loaded into a scratch warehouse beside the real one, by the same loader,
while everybody else goes on working. What comes out is then merged under the lock, in
one transaction: killed before it nothing has changed, and after it all has.
"""

import datetime as dt
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.paths import Paths
from cdp_assets.streams.arrivals import fingerprint, stamp_of
from cdp_assets.streams.budget import budget_of, waves
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.landing import compacted_files, landed
from cdp_assets.streams.ledger import LoadResult
from cdp_assets.streams.load import load
from cdp_assets.streams.merging import merge, replace
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import Warehouse, utc_now


class NoBackfillError(OperatorError, ValueError):
    """A stream whose rows cannot be folded again one file at a time."""


def backfill(
    warehouse: Warehouse, spec: StreamSpec, *, since: dt.date | None = None
) -> LoadResult:
    """Fold the files that were loaded once more, as the stream is declared now.

    Afterwards the table is as if the declaration had always been this one, as far as
    the files are still kept. Records whose files have expired stay as they are.

    Args:
        warehouse: The warehouse; nobody in this process may hold it.
        spec: The stream.
        since: Only files that arrived on this day (UTC) or later.

    Raises:
        NoBackfillError: The stream has partial updates.
    """
    if spec.is_partial:
        raise NoBackfillError(
            f"{spec.name}: a record of partial updates may consist of rows whose files "
            "have expired; only `cdp stream reset` folds the kept ones again"
        )
    # What was loaded once was accepted, however much it deleted.
    accepting = spec.model_copy(update={"max_absent_share": 1.0})
    with warehouse.reading("looking for kept files") as connection:
        files = kept_files(connection, warehouse.paths, spec, since=since)
    with (
        _rebuilt(warehouse.paths, accepting, files) as scratch,
        warehouse.writing(f"backfill of {spec.name}") as connection,
    ):
        return merge(connection, spec, scratch)


def reset(warehouse: Warehouse, spec: StreamSpec) -> LoadResult:
    """Forget the stream's table and ledger, and load all kept files from nothing.

    Every row counts as changed, so all that follows is made anew. Records that no file
    holds any longer become tombstones, so that they disappear there as well.
    """
    paths = warehouse.paths
    files = sorted(
        [*landed(paths, spec.name), *compacted_files(paths, spec.name)],
        key=lambda path: path.name,
    )
    with (
        _rebuilt(paths, spec, files) as scratch,
        warehouse.writing(f"reset of {spec.name}") as connection,
    ):
        return replace(connection, spec, scratch)


def kept_files(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    *,
    since: dt.date | None = None,
) -> list[Path]:
    """The files that the stream's rows came from and that are still there."""
    loaded = {
        content[:16]
        for (content,) in connection.execute(
            """
            select content_sha256 from ops.landed_file
            where stream = ? and outcome = 'loaded'
            """,
            [spec.name],
        ).fetchall()
    }
    found = compacted_files(paths, spec.name)
    there = {path.name for path in found}
    compacted = {
        content[:16]
        for content, into in connection.execute(
            "select content_sha256, compacted_into from ops.landed_file "
            "where stream = ? and compacted_into is not null",
            [spec.name],
        ).fetchall()
        if into in there
    }
    found += [
        path
        for path in landed(paths, spec.name)
        if fingerprint(path) in loaded - compacted
    ]
    if since is not None:
        found = [path for path in found if _arrived(path) >= since]
    return sorted(found, key=lambda path: path.name)


def _arrived(path: Path) -> dt.date:
    stamp = stamp_of(path)
    if stamp is not None:
        return stamp.date()
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()


@contextmanager
def _rebuilt(paths: Paths, spec: StreamSpec, files: Sequence[Path]) -> Iterator[Path]:
    """A scratch warehouse with nothing in it but what ``files`` hold."""
    scratch = Paths(paths.root / f"rebuild-{spec.name}")
    shutil.rmtree(scratch.root, ignore_errors=True)
    try:
        with Warehouse(scratch).writing("a rebuild") as connection:
            ensure_table(connection, spec)
            for wave in waves(spec, files, budget_of(spec)):
                load(connection, spec, wave, started_at=utc_now())
        yield scratch.warehouse
    finally:
        shutil.rmtree(scratch.root, ignore_errors=True)
