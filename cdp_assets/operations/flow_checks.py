"""Checks of what flows: runs, streams, people, deliveries."""

import datetime as dt
from collections.abc import Iterator

from cdp_assets.operations.facts import Facts
from cdp_assets.operations.findings import Finding, counted, in_words

LONGEST_RUN = dt.timedelta(hours=6)
# The daemon beats every 30 s; the instance itself gives up on it after two minutes.
SILENT_DAEMON = dt.timedelta(minutes=5)
OLDEST_PENDING = dt.timedelta(days=1)


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
                f"{in_words(facts.at - run.created_at)}",
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
        ago = f"for {in_words(facts.at - seen)}" if seen else "yet"
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
                f"{stream.name}: {counted(stream.quarantined, 'row')} in quarantine",
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
                f"{stream.name}: {counted(stream.unreadable_files, 'file')} refused",
                subject=stream.name,
                next="ops.landed_file has the reasons; have the source send them again",
            )
        if stream.held_files:
            yield Finding(
                "files_were_read",
                "warning",
                f"{stream.name}: {counted(stream.held_files, 'file')} held",
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


def plans_are_within_caps(facts: Facts) -> Iterator[Finding]:
    """No plan waits above a cap."""
    known = facts.warehouse
    for activation, reason in known.held_plans if known else ():
        yield Finding(
            "plans_are_within_caps",
            "warning",
            f"{activation}: its plan is held, {reason}",
            subject=activation,
            next=f"cdp activate {activation} --dry-run, then --release",
        )


def rulesets_pass_their_gates(facts: Facts) -> Iterator[Finding]:
    """No ruleset beside the published one is held."""
    known = facts.warehouse
    for ruleset, reason in known.held_rulesets if known else ():
        yield Finding(
            "rulesets_pass_their_gates",
            "warning",
            f"ruleset {ruleset} is held, {reason}: its people are of an earlier run",
            subject=ruleset,
            next=f"mend the ruleset, or `cdp identity release --ruleset {ruleset}`",
        )


def deliveries_arrive(facts: Facts) -> Iterator[Finding]:
    """No change is given up or waits too long."""
    for each in facts.outbox:
        if each.dead:
            yield Finding(
                "deliveries_arrive",
                "warning",
                f"{each.activation}: {counted(each.dead, 'dead letter')}",
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
                f"{each.activation}: {counted(each.pending, 'change')} on the way, the "
                f"oldest since {oldest:%Y-%m-%d %H:%M}",
                subject=f"{each.activation} waits",
                next="is its destination configured and up? cdp outbox resume",
            )
