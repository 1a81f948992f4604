"""How facts and findings look: one screen for a person, JSON for a machine."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence

from cdp_assets.operations.facts import Facts, StreamFact
from cdp_assets.operations.findings import Finding, counted

_RUNS = 3
_MARKS = {"ok": "  ok      ", "warning": "  WARNING ", "failure": "  FAILURE "}


def status_text(facts: Facts) -> str:
    """The state on one screen."""
    return "\n".join(
        [
            *_lines("warehouse", _warehouse(facts)),
            *_lines("lock", _lock(facts)),
            *_lines("runs", _runs(facts)),
            *_lines("streams", _streams(facts)),
            *_lines("people", _people(facts)),
            *_lines("outbox", _outbox(facts)),
            *_lines("backup", _backup(facts)),
            *_lines("clock", [f"pinned to {facts.clock}" if facts.clock else "live"]),
        ]
    )


def doctor_text(findings: Sequence[Finding]) -> str:
    """One line per finding, and under what is wrong what to do."""
    lines = []
    for finding in findings:
        name = finding.check.replace("_", " ")
        lines.append(f"{_MARKS[finding.level]}{name:<24}{finding.says}")
        if finding.next:
            lines.append(f"{'':<34}-> {finding.next}")
    return "\n".join(lines)


def plain(value: object) -> object:
    """Dataclasses and instants as what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: plain(getattr(value, each.name))
            for each in dataclasses.fields(value)
        }
    if isinstance(value, dt.datetime):
        return f"{value.isoformat()}Z"
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def _lines(title: str, words: Sequence[str] | Iterator[str]) -> Iterator[str]:
    for place, line in enumerate(words):
        yield f"{title if place == 0 else '':<12}{line}"


def _warehouse(facts: Facts) -> Iterator[str]:
    disk = f"disk {_size(facts.disk_free)} free of {_size(facts.disk_total)}"
    if facts.warehouse_bytes is None:
        yield f"none yet; {disk}"
        return
    yield f"{_size(facts.warehouse_bytes)} in {facts.root}; {disk}"
    if facts.unknown:
        yield facts.unknown
    for words in facts.damaged:
        yield f"DAMAGED: {words}"


def _lock(facts: Facts) -> Iterator[str]:
    if facts.is_lock_free:
        yield "free"
    elif not facts.holders:
        yield "held by a process that left no name"
    for holder in facts.holders:
        yield f"{holder}"


def _runs(facts: Facts) -> Iterator[str]:
    if not facts.history.runs:
        yield "none yet"
    for run in facts.history.runs[:_RUNS]:
        ended = f", ended {run.ended_at:%H:%M:%S}" if run.ended_at else ""
        gone = ", its process is gone" if run.is_orphaned else ""
        yield (
            f"{run.run_id[:8]}  {run.job:<20}{run.status.lower():<10}"
            f"{run.created_at:%Y-%m-%d %H:%M:%S}{ended}{gone}"
        )


def _streams(facts: Facts) -> Iterator[str]:
    if facts.warehouse is None:
        yield "unknown"
        return
    streams = facts.warehouse.streams
    troubled = [(each, words) for each in streams if (words := _trouble(each))]
    yield f"{len(streams)} declared, {len(streams) - len(troubled)} quiet and fresh"
    for stream, words in troubled:
        yield f"{stream.name:<24}{words}"


def _trouble(stream: StreamFact) -> str:
    counts = (
        (stream.waiting_files, "file", "waiting"),
        (stream.quarantined, "row", "quarantined"),
        (stream.unreadable_files, "file", "refused"),
        (stream.held_files, "file", "held"),
    )
    parts = [
        f"{counted(number, thing)} {how}" for number, thing, how in counts if number
    ]
    if stream.is_stale:
        parts.insert(0, f"stale since {stream.newest_at:%Y-%m-%d}")
    return ", ".join(parts)


def _people(facts: Facts) -> Iterator[str]:
    known = facts.warehouse
    if known is None:
        yield "unknown"
        return
    yield f"{known.people:,}" if known.people is not None else "none resolved yet"
    if known.held_run is not None:
        yield f"run {known.held_run} is HELD by gate {known.held_gate}"


def _outbox(facts: Facts) -> Iterator[str]:
    for activation, reason in facts.warehouse.held_plans if facts.warehouse else ():
        yield f"{activation:<24}plan HELD: {reason}"
    if not facts.outbox:
        yield "empty"
    for each in facts.outbox:
        stopped = f", {each.stopped}" if each.stopped else ""
        waits = f"{each.pending:,} pending, {each.dead:,} dead"
        yield f"{each.activation:<24}{waits}{stopped}"


def _backup(facts: Facts) -> Iterator[str]:
    if facts.backup is None:
        yield "none"
    else:
        yield f"{facts.backup.made_at:%Y-%m-%d %H:%M:%S} in {facts.backup.path}"


def _size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
