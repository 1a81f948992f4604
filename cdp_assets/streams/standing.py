"""How each stream stands: what waits, what was loaded, what was refused, how fresh."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.paths import Paths
from cdp_assets.streams.budget import budget_of, waves
from cdp_assets.streams.dlo import has_table, table_name
from cdp_assets.streams.landing import waiting
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import utc_now


@dataclass(frozen=True)
class Standing:
    """One stream."""

    stream: str
    waiting_files: int
    waiting_bytes: int
    next_wave_files: int
    """How many of the waiting files the next wave takes."""
    last_load_at: dt.datetime | None
    """When rows or files last came in; None: never."""
    live_records: int
    quarantined: int
    held_files: int
    unreadable_files: int
    newest_at: dt.datetime | None
    """The latest modified or event time that is not in the future."""
    is_stale: bool
    """Whether that is longer ago than the declared freshness allows."""


def standings(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    specs: Iterable[StreamSpec],
    *,
    as_of: dt.datetime,
) -> list[Standing]:
    """How the streams stand at ``as_of`` (UTC)."""
    return [_standing(connection, paths, spec, as_of) for spec in specs]


def _standing(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    as_of: dt.datetime,
) -> Standing:
    files = waiting(connection, paths, spec)
    last_load_at, quarantined, held, unreadable = connection.execute(
        """
        select (select max(finished_at) from ops.load where stream = $stream),
            (select count(*) from ops.quarantine
                where stream = $stream and replayed_load_seq is null),
            count(*) filter (outcome = 'held'),
            count(*) filter (outcome = 'unreadable')
        from ops.landed_file where stream = $stream and expired_at is null
        """,
        {"stream": spec.name},
    ).fetchone() or (None, 0, 0, 0)
    live, newest_at = 0, None
    # What we write ourselves bears the time of day, however the clock is pinned.
    until = utc_now() if spec.is_system else as_of
    if has_table(connection, spec):
        live, newest_at = connection.execute(
            f"""
            select count(*) filter (not _is_deleted),
                max(_modified_at) filter (_modified_at <= ?)
            from {table_name(spec)}
            """,
            [until],
        ).fetchone() or (0, None)
    allowed = dt.timedelta(hours=spec.freshness_hours)
    return Standing(
        stream=spec.name,
        waiting_files=len(files),
        waiting_bytes=sum(_size(path) for path in files),
        next_wave_files=len(next(waves(spec, files, budget_of(spec)), [])),
        last_load_at=last_load_at,
        live_records=live,
        quarantined=quarantined,
        held_files=held,
        unreadable_files=unreadable,
        newest_at=newest_at,
        is_stale=not spec.is_system
        and (newest_at is None or as_of - newest_at > allowed),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
