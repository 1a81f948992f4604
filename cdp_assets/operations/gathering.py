"""Gathering the facts, without waiting for anybody.

While a writer holds the warehouse its figures are absent, and the holder is the news.
Nothing is changed, no file is made.
"""

import contextlib
import datetime as dt
import shutil
import sqlite3
from pathlib import Path

import duckdb

from cdp_assets import lock
from cdp_assets.activation.caps import held_plans
from cdp_assets.operations.backup import backups
from cdp_assets.operations.contents import unseen_files
from cdp_assets.operations.facts import (
    BackupFact,
    Facts,
    History,
    OutboxFact,
    StreamFact,
    WarehouseFacts,
)
from cdp_assets.operations.integrity import open_read_only
from cdp_assets.operations.manifest import (
    BackupError,
    known_migrations,
    read_manifest,
)
from cdp_assets.paths import Paths
from cdp_assets.rulesets.keeping import held_rulesets
from cdp_assets.runs import pinned_as_of
from cdp_assets.streams.dlo import table_name
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse, WarehouseBusyError, utc_now


def gather(paths: Paths, history: History | None = None) -> Facts:
    """Look at everything once.

    Args:
        paths: The runtime folder.
        history: What Dagster knows, which this module does not.
    """
    damaged: list[str] = []
    disk = shutil.disk_usage(_existing(paths.root))
    # Before the warehouse is read: the reader would sign for the lock itself.
    holders, free = lock.holders(paths.lock), lock.is_free(paths.lock)
    known, unknown = None, None
    if paths.warehouse.exists():
        try:
            with Warehouse(paths, wait_seconds=1, say=_silent).reading(
                "a look at everything"
            ) as connection:
                known = _warehouse(connection, paths)
        except WarehouseBusyError as busy:
            unknown = str(busy)
        except RuntimeError as error:
            unknown = str(error)
        except duckdb.Error as error:
            unknown = "the warehouse cannot be read"
            damaged.append(f"{paths.warehouse.name}: {str(error).splitlines()[0]}")
    return Facts(
        at=utc_now(),
        root=str(paths.root),
        warehouse_bytes=_size(paths.warehouse),
        holders=holders,
        is_lock_free=free,
        disk_free=disk.free,
        disk_total=disk.total,
        clock=_clock(paths, damaged),
        restore_unfinished=paths.restoring.exists(),
        backup=_backup(paths, damaged),
        outbox=_outbox(paths, damaged),
        history=history or History(),
        warehouse=known,
        unknown=unknown,
        damaged=tuple(damaged),
    )


def _warehouse(connection: duckdb.DuckDBPyConnection, paths: Paths) -> WarehouseFacts:
    applied = {
        version
        for (version,) in connection.execute(
            "select version from ops.migration"
        ).fetchall()
    }
    last = connection.execute(
        """
        select run, status, gate, people from identity.run
        where object = 'individual' order by run desc limit 1
        """
    ).fetchone()
    people = connection.execute(
        """
        select people from identity.run
        where object = 'individual' and status = 'promoted' order by run desc limit 1
        """
    ).fetchone()
    now = pinned_as_of(paths) or utc_now()
    held = last is not None and last[1] == "held"
    is_current = known_migrations() <= applied
    return WarehouseFacts(
        streams=[
            _stream(connection, paths, spec, now) for spec in load_streams().values()
        ],
        people=people[0] if people else None,
        held_run=last[0] if last and held else None,
        held_gate=last[2] if last and held else None,
        migrations_pending=len(known_migrations() - applied),
        # An earlier version's warehouse knows of neither, and is still looked at.
        held_plans=[(plan.activation, plan.reason) for plan in held_plans(connection)]
        if is_current
        else [],
        held_rulesets=held_rulesets(connection) if is_current else [],
    )


def _stream(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    spec: StreamSpec,
    now: dt.datetime,
) -> StreamFact:
    loaded_at, quarantined, unreadable, held = connection.execute(
        """
        select (select max(finished_at) from ops.load where stream = $stream),
            (
                select count(*) from ops.quarantine
                where stream = $stream and replayed_load_seq is null
            ),
            count(*) filter (where outcome = 'unreadable'),
            count(*) filter (where outcome = 'held')
        from ops.landed_file where stream = $stream
        """,
        {"stream": spec.name},
    ).fetchone() or (None, 0, 0, 0)
    newest = None
    # A stream that was declared since has no table yet.
    with contextlib.suppress(duckdb.CatalogException):
        (newest,) = connection.execute(
            f"select max(_modified_at) from {table_name(spec)} where _modified_at <= ?",
            [now],
        ).fetchone() or (None,)
    allowed = dt.timedelta(hours=spec.freshness_hours)
    return StreamFact(
        name=spec.name,
        waiting_files=len(unseen_files(connection, paths, spec.name)),
        last_load_at=loaded_at,
        newest_at=newest,
        hours_allowed=spec.freshness_hours,
        is_stale=not spec.is_system and newest is not None and now - newest > allowed,
        quarantined=quarantined,
        unreadable_files=unreadable,
        held_files=held,
    )


def _outbox(paths: Paths, damaged: list[str]) -> list[OutboxFact]:
    if not paths.outbox.exists():
        return []
    try:
        with contextlib.closing(open_read_only(paths.outbox)) as outbox:
            rows = outbox.execute(
                """
                select o.activation,
                    sum(o.state in ('pending', 'delivering')), sum(o.state = 'dead'),
                    min(iif(
                        o.state in ('pending', 'delivering'), o.planned_at, null
                    ))
                from outbox as o group by o.activation order by o.activation
                """
            ).fetchall()
            standing = _standing(outbox)
    except sqlite3.Error as error:
        damaged.append(f"{paths.outbox.name}: {error}")
        return []
    return [
        OutboxFact(
            name,
            pending,
            dead,
            _instant(oldest),
            standing.get(name) or standing.get("*"),
        )
        for name, pending, dead, oldest in rows
    ]


def _standing(outbox: sqlite3.Connection) -> dict[str, str]:
    """Why an activation is not delivered; what an operator said goes first."""
    (version,) = outbox.execute("pragma user_version").fetchone()
    if version < 2:  # The next delivery brings it up to date.
        return {}
    return dict(
        outbox.execute(
            """
            select activation, 'left alone until ' || substr(open_until, 1, 16)
                || ': ' || reason
            from breaker where open_until is not null
            union all
            select activation, 'paused since ' || substr(since, 1, 16) from pause
            """
        ).fetchall()
    )


def _backup(paths: Paths, damaged: list[str]) -> BackupFact | None:
    made = backups(paths.backups)
    if not made:
        return None
    try:
        manifest = read_manifest(made[-1])
    except BackupError as error:
        damaged.append(str(error))
        return None
    return BackupFact(str(made[-1]), manifest.made_at)


def _clock(paths: Paths, damaged: list[str]) -> dt.datetime | None:
    try:
        return pinned_as_of(paths)
    except ValueError as error:
        damaged.append(str(error))
        return None


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _silent(words: str) -> None:
    """Who is waited for is among the facts."""
