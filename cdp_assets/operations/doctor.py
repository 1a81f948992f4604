"""``cdp doctor``: judges the facts; each finding says what to do next.

A failure keeps the platform from working or loses something; a warning will become one,
or means that somebody has to look. Findings name streams, activations and runs, never
what is in a record, so they may go to a chat channel.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cdp_assets.operations.facts import Facts

Level = Literal["ok", "warning", "failure"]
EXIT_CODES: dict[Level, int] = {"ok": 0, "warning": 1, "failure": 2}

# A full load of 1 M people holds the lock for minutes; two hours are no load.
LONGEST_HOLD = dt.timedelta(hours=2)
LONGEST_RUN = dt.timedelta(hours=6)
# The daemon beats every 30 s; the instance itself gives up on it after two minutes.
SILENT_DAEMON = dt.timedelta(minutes=5)
# The nightly backup and some hours of the next night.
OLDEST_BACKUP = dt.timedelta(hours=30)
# A rebuild and a restore need the warehouse's size again.
LEAST_FREE_BYTES = 2 << 30
OLDEST_PENDING = dt.timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """The result of one check on one thing."""

    check: str
    level: Level
    says: str
    subject: str = ""
    """What it is about: a stream, a run, an activation; empty for the whole."""
    next: str = ""
    """What to do about it; empty when all is well."""

    @property
    def key(self) -> str:
        """The same for the same trouble, however often it is looked at."""
        return f"{self.check}:{self.subject}:{self.level}"


Check = Callable[[Facts], Iterator[Finding]]


def examine(facts: Facts) -> list[Finding]:
    """Every check in order; one that finds nothing says so with an ``ok``."""
    found: list[Finding] = []
    for check in CHECKS:
        name = check.__name__
        troubles = list(check(facts))
        good = (check.__doc__ or "").splitlines()[0]
        if facts.unknown and check in IN_THE_WAREHOUSE:
            good = f"not looked at: {facts.unknown}"
        found += troubles or [Finding(name, "ok", good)]
    return found


def worst(findings: Sequence[Finding]) -> Level:
    """The gravest level among the findings."""
    return max(
        (finding.level for finding in findings),
        key=EXIT_CODES.__getitem__,
        default="ok",
    )


def disk_space(facts: Facts) -> Iterator[Finding]:
    """There is room on the disk."""
    size = facts.warehouse_bytes or 0
    needed = max(LEAST_FREE_BYTES, size)
    if facts.disk_free < needed:
        level: Level = "failure" if facts.disk_free < needed / 4 else "warning"
        yield Finding(
            "disk_space",
            level,
            f"{_gb(facts.disk_free)} free of {_gb(facts.disk_total)}; a rebuild may "
            f"need {_gb(needed)}",
            next="free some, or move data/ or the backups (CDP_DATA, CDP_BACKUPS)",
        )


def restore_finished(facts: Facts) -> Iterator[Finding]:
    """No restore was left half done."""
    if facts.restore_unfinished:
        yield Finding(
            "restore_finished",
            "failure",
            "a restore was interrupted; the warehouse stays closed",
            next="cdp restore FOLDER --replace",
        )


def files_are_whole(facts: Facts) -> Iterator[Finding]:
    """The warehouse, the outbox and the last backup can be read."""
    for words in facts.damaged:
        yield Finding(
            "files_are_whole",
            "failure",
            words,
            subject=words.split(":")[0],
            next="cdp restore FOLDER --replace, with the last backup that is whole",
        )


def lock_moves(facts: Facts) -> Iterator[Finding]:
    """Nobody holds the warehouse for too long."""
    if not facts.is_lock_free and not facts.holders:
        yield Finding(
            "lock_moves",
            "failure",
            "the lock is held by a child of a process that is gone",
            next="find it with `lsof` on warehouse.lock, and end it",
        )
    for holder in facts.holders:
        if facts.at - holder.since > LONGEST_HOLD:
            yield Finding(
                "lock_moves",
                "warning",
                f"held by {holder} for {_hours(facts.at - holder.since)}",
                subject=str(holder.pid),
                next="look what that process does; ending it frees the lock",
            )


def migrations_applied(facts: Facts) -> Iterator[Finding]:
    """The warehouse has every migration of this version."""
    if facts.warehouse and facts.warehouse.migrations_pending:
        yield Finding(
            "migrations_applied",
            "warning",
            f"{facts.warehouse.migrations_pending} migrations wait for the next run",
            next="cdp backup, then cdp run",
        )


def runs_move(facts: Facts) -> Iterator[Finding]:
    """No run is stuck."""
    for run in facts.history.runs:
        if run.is_orphaned:
            yield Finding(
                "runs_move",
                "failure",
                f"run {run.run_id[:8]} of {run.job} is in flight, its process is gone",
                subject=run.run_id[:8],
                next="the next `cdp run` or look of the sensor frees its place",
            )
        elif run.is_in_flight and facts.at - run.created_at > LONGEST_RUN:
            yield Finding(
                "runs_move",
                "warning",
                f"run {run.run_id[:8]} of {run.job} has taken "
                f"{_hours(facts.at - run.created_at)}",
                subject=run.run_id[:8],
                next="open it in `make ui`; terminate it if it does not move",
            )


def last_run_succeeded(facts: Facts) -> Iterator[Finding]:
    """The last run that ended succeeded."""
    ended = [run for run in facts.history.runs if not run.is_in_flight]
    if ended and ended[0].status != "SUCCESS":
        yield Finding(
            "last_run_succeeded",
            "failure",
            f"run {ended[0].run_id[:8]} of {ended[0].job}: {ended[0].status.lower()}",
            subject=ended[0].job,
            next="`make ui` shows its log; mend the cause and run again",
        )


def daemon_runs(facts: Facts) -> Iterator[Finding]:
    """The daemon runs: schedules and sensors do their work."""
    seen = facts.history.daemon_at
    if seen is None or facts.at - seen > SILENT_DAEMON:
        ago = f"for {_hours(facts.at - seen)}" if seen else "yet"
        yield Finding(
            "daemon_runs",
            "warning",
            f"no sign of the daemon {ago}: nothing starts by itself",
            next="keep `make ui` running, or run `cdp run` yourself",
        )


def streams_are_fresh(facts: Facts) -> Iterator[Finding]:
    """Every stream is as fresh as it is declared to be."""
    for stream in facts.warehouse.streams if facts.warehouse else ():
        if stream.is_stale:
            yield Finding(
                "streams_are_fresh",
                "warning",
                f"{stream.name}: nothing newer than {stream.newest_at:%Y-%m-%d %H:%M}; "
                f"declared are {stream.hours_allowed} h",
                subject=stream.name,
                next="ask its source; what waits in the inbox shows in the sensor",
            )


def quarantine_is_read(facts: Facts) -> Iterator[Finding]:
    """No row waits in quarantine."""
    for stream in facts.warehouse.streams if facts.warehouse else ():
        if stream.quarantined:
            yield Finding(
                "quarantine_is_read",
                "warning",
                f"{stream.name}: {stream.quarantined:,} rows in quarantine",
                subject=stream.name,
                next=f"cdp quarantine show {stream.name}, then replay or drop",
            )


def files_were_read(facts: Facts) -> Iterator[Finding]:
    """Every landed file could be read and applied."""
    for stream in facts.warehouse.streams if facts.warehouse else ():
        if stream.unreadable_files:
            yield Finding(
                "files_were_read",
                "warning",
                f"{stream.name}: {stream.unreadable_files} files refused",
                subject=stream.name,
                next="ops.landed_file has the reasons; have the source send them again",
            )
        if stream.held_files:
            yield Finding(
                "files_were_read",
                "warning",
                f"{stream.name}: {stream.held_files} files held",
                subject=f"{stream.name} held",
                next=f"ops.landed_file says why; cdp stream release {stream.name}",
            )


def identity_is_published(facts: Facts) -> Iterator[Finding]:
    """No identity batch is held."""
    known = facts.warehouse
    if known and known.held_run is not None:
        yield Finding(
            "identity_is_published",
            "failure",
            f"identity run {known.held_run} is held by gate {known.held_gate}: people "
            "stay as they were",
            subject=str(known.held_run),
            next="see identity.run; mend the cause or the gate, and run again",
        )


def deliveries_arrive(facts: Facts) -> Iterator[Finding]:
    """No change is given up or waits too long."""
    for each in facts.outbox:
        if each.dead:
            yield Finding(
                "deliveries_arrive",
                "warning",
                f"{each.activation}: {each.dead:,} dead letters",
                subject=each.activation,
                next="cdp outbox list, then replay or drop",
            )
        oldest = each.oldest_pending_at
        # Planned at the run's instant, which a pinned clock keeps in the past.
        now = facts.clock or facts.at
        if oldest is not None and now - oldest > OLDEST_PENDING:
            yield Finding(
                "deliveries_arrive",
                "warning",
                f"{each.activation}: {each.pending:,} changes wait, the oldest since "
                f"{oldest:%Y-%m-%d %H:%M}",
                subject=f"{each.activation} waits",
                next="is its destination configured and up? cdp outbox resume",
            )


def backup_is_recent(facts: Facts) -> Iterator[Finding]:
    """There is a backup of the last night."""
    if facts.warehouse_bytes is None:
        return
    if facts.backup is None:
        yield Finding(
            "backup_is_recent", "warning", "there is no backup", next="cdp backup"
        )
    elif facts.at - facts.backup.made_at > OLDEST_BACKUP:
        yield Finding(
            "backup_is_recent",
            "warning",
            f"the last backup is {_hours(facts.at - facts.backup.made_at)} old",
            next="cdp backup; every night the job nightly_backup makes one",
        )


def clock_is_live(facts: Facts) -> Iterator[Finding]:
    """Runs take the time of day as now."""
    if facts.clock is not None:
        yield Finding(
            "clock_is_live",
            "warning",
            f"the clock is pinned to {facts.clock:%Y-%m-%d %H:%M:%S}",
            next="right for the samples; for your own data: cdp clock live",
        )


CHECKS: tuple[Check, ...] = (
    disk_space,
    restore_finished,
    files_are_whole,
    lock_moves,
    migrations_applied,
    runs_move,
    last_run_succeeded,
    daemon_runs,
    streams_are_fresh,
    quarantine_is_read,
    files_were_read,
    identity_is_published,
    deliveries_arrive,
    backup_is_recent,
    clock_is_live,
)
# What a writer at work keeps from being looked at.
IN_THE_WAREHOUSE = (
    migrations_applied,
    streams_are_fresh,
    quarantine_is_read,
    files_were_read,
    identity_is_published,
)


def _gb(size: float) -> str:
    return f"{size / 2**30:,.1f} GB"


def _hours(span: dt.timedelta) -> str:
    minutes = span.total_seconds() / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
