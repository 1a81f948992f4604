"""Checks of the place: disk, files, lock, backup, clock."""

import datetime as dt
from collections.abc import Iterator

from cdp_assets.operations.facts import Facts
from cdp_assets.operations.findings import Finding, Level, counted, in_words

# A full load of 1 M people holds the lock for minutes; two hours are no load.
LONGEST_HOLD = dt.timedelta(hours=2)
# The nightly backup and some hours of the next night.
OLDEST_BACKUP = dt.timedelta(hours=30)
# A rebuild and a restore need the warehouse's size again.
LEAST_FREE_BYTES = 2 << 30


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
                f"held by {holder} for {in_words(facts.at - holder.since)}",
                subject=str(holder.pid),
                next="look what that process does; ending it frees the lock",
            )


def migrations_applied(facts: Facts) -> Iterator[Finding]:
    """The warehouse has every migration of this version."""
    pending = facts.warehouse.migrations_pending if facts.warehouse else 0
    if pending:
        yield Finding(
            "migrations_applied",
            "warning",
            f"{counted(pending, 'migration')} to be applied by the next run",
            next="cdp backup, then cdp run",
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
            f"the last backup is {in_words(facts.at - facts.backup.made_at)} old",
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


def _gb(size: float) -> str:
    return f"{size / 2**30:,.1f} GB"
