"""What is the case at one instant: what status prints and doctor judges."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from cdp_assets.lock import Holder


@dataclass(frozen=True)
class StreamFact:
    """A stream as the warehouse and the landing zone know it."""

    name: str
    waiting_files: int
    last_load_at: dt.datetime | None
    newest_at: dt.datetime | None
    hours_allowed: int
    is_stale: bool
    quarantined: int
    unreadable_files: int
    held_files: int


@dataclass(frozen=True)
class OutboxFact:
    """How the changes of an activation stand."""

    activation: str
    pending: int
    dead: int
    oldest_pending_at: dt.datetime | None
    stopped: str | None
    """Why nothing is sent, in words."""


@dataclass(frozen=True)
class RunFact:
    """A run as Dagster keeps it."""

    run_id: str
    job: str
    status: str
    created_at: dt.datetime
    ended_at: dt.datetime | None
    is_in_flight: bool
    is_orphaned: bool
    """It is in flight and its process is gone."""


@dataclass(frozen=True)
class History:
    """The last runs, the newest first, and when the daemon last gave a sign."""

    runs: Sequence[RunFact] = ()
    daemon_at: dt.datetime | None = None


@dataclass(frozen=True)
class BackupFact:
    """The newest backup."""

    path: str
    made_at: dt.datetime


@dataclass(frozen=True)
class WarehouseFacts:
    """What only the warehouse knows."""

    streams: Sequence[StreamFact]
    people: int | None
    held_run: int | None
    """The identity run that is held, if the last one is."""
    held_gate: str | None
    migrations_pending: int
    held_plans: Sequence[tuple[str, str]] = ()
    """Activations whose plan waits above a cap, and which."""
    held_rulesets: Sequence[tuple[str, str]] = ()
    """Rulesets beside the published one whose last result a gate held, and which."""


@dataclass(frozen=True)
class Facts:
    """Everything at one instant (UTC)."""

    at: dt.datetime
    root: str
    warehouse_bytes: int | None
    """None: there is no warehouse."""
    holders: Sequence[Holder]
    is_lock_free: bool
    disk_free: int
    disk_total: int
    clock: dt.datetime | None
    """The instant the clock is pinned to."""
    restore_unfinished: bool
    backup: BackupFact | None
    outbox: Sequence[OutboxFact]
    history: History
    warehouse: WarehouseFacts | None = None
    unknown: str | None = None
    """Why there is a warehouse but no facts from it."""
    damaged: Sequence[str] = field(default_factory=tuple)
    """Files that cannot be read, in words."""
