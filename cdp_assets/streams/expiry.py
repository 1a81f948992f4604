"""Retention: files, and events, that are older than their stream keeps them.

A landed file is deleted ``retention_days`` after it arrived, a compacted one when all
that is in it is older. Only files that the ledger knows are: one that waits is never
deleted unread. The ledger keeps their names and hashes and says when they went.

Rows of profile and other streams stay as long as the source has the record: a customer
of twenty years is no less a customer. Events are different: those older than the
retention become tombstones, all of them null but key and time, so that what is made
from them goes with the next run, and the same event sent once more stays out.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.paths import Paths
from cdp_assets.streams.arrivals import stamp_of
from cdp_assets.streams.compaction import finish
from cdp_assets.streams.dlo import has_table, table_name
from cdp_assets.streams.fold import Folded
from cdp_assets.streams.landing import compacted_files, landed
from cdp_assets.streams.ledger import next_load_seq, record_load, result_of
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import transaction, utc_now


@dataclass(frozen=True)
class Expired:
    """What is past its retention, or was until it was deleted."""

    files: int = 0
    """Landed and compacted ones."""
    bytes: int = 0
    rows: int = 0
    """Events that became tombstones."""


def expire(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    *,
    as_of: dt.datetime,
    dry_run: bool = False,
) -> Expired:
    """Delete what the stream no longer keeps.

    Args:
        connection: A writing connection with no transaction open; a reading one will
            do for a dry run.
        paths: The runtime folder.
        spec: The stream.
        as_of: The time (UTC) that ages are counted to.
        dry_run: Only say what would be deleted.
    """
    cutoff = as_of - dt.timedelta(days=spec.retention_days)
    if not dry_run:
        finish(connection, paths, spec)
    old = _old_files(connection, paths, spec, cutoff)
    rows = _old_rows(connection, spec, cutoff)
    found = Expired(len(old), sum(path.stat().st_size for path in old), rows)
    if dry_run or not (old or rows):
        return found
    with transaction(connection):
        _note_files(connection, spec, [path.name for path in old], as_of)
        if rows:
            _bury(connection, spec, cutoff)
    # Last, for the ledger must know first; what a crash leaves ``finish`` deletes.
    for path in old:
        path.unlink(missing_ok=True)
    return found


def _old_files(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    cutoff: dt.datetime,
) -> list[Path]:
    rows = connection.execute(
        "select file, compacted_into from ops.landed_file where stream = ?", [spec.name]
    ).fetchall()
    known = {file for file, _ in rows}
    newest: dict[str, dt.datetime] = {}
    for file, compacted_into in rows:
        stamp = stamp_of(Path(file))
        if compacted_into and stamp:
            newest[compacted_into] = max(stamp, newest.get(compacted_into, stamp))
    old = [
        path
        for path in compacted_files(paths, spec.name)
        if path.name in newest and newest[path.name] < cutoff
    ]
    for path in landed(paths, spec.name):
        arrived = stamp_of(path) or dt.datetime.fromtimestamp(
            path.stat().st_mtime, dt.UTC
        ).replace(tzinfo=None)
        if path.name in known and arrived < cutoff:
            old.append(path)
    return old


def _note_files(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    names: list[str],
    as_of: dt.datetime,
) -> None:
    """Say in the ledger that files are gone, and forget the records they had."""
    connection.execute(
        """
        update ops.landed_file set expired_at = $as_of
        where stream = $stream and expired_at is null and (
            list_contains($names, file) or list_contains($names, compacted_into)
        )
        """,
        {"stream": spec.name, "names": names, "as_of": as_of},
    )
    connection.execute(
        """
        update ops.quarantine set record = null
        where stream = $stream and record is not null and file in (
            select file from ops.landed_file
            where stream = $stream and expired_at is not null
        )
        """,
        {"stream": spec.name},
    )


def _old_rows(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, cutoff: dt.datetime
) -> int:
    if not (spec.expires_rows and has_table(connection, spec)):
        return 0
    row = connection.execute(
        f"""
        select count(*) from {table_name(spec)}
        where not _is_deleted and _modified_at < ?
        """,
        [cutoff],
    ).fetchone()
    return int(row[0]) if row else 0


def _bury(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, cutoff: dt.datetime
) -> None:
    """Make tombstones of old events, under a load of their own."""
    load_seq, started_at = next_load_seq(connection), utc_now()
    kept = {*spec.primary_key, spec.event_time}
    emptied = "".join(
        f"{quoted(name)} = null, " for name in spec.fields if name not in kept
    )
    row = connection.execute(
        f"""
        update {table_name(spec)}
        set {emptied} _undeclared = null, _is_deleted = true, _load_seq = ?
        where not _is_deleted and _modified_at < ?
        """,
        [load_seq, cutoff],
    ).fetchone()
    buried = int(row[0]) if row else 0
    result = result_of(
        Folded(deleted=buried),
        load_seq,
        quarantined=0,
        notes=(f"{buried} events older than {spec.retention_days} days",),
    )
    record_load(connection, spec, result, started_at)
