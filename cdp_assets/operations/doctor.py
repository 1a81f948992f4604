"""``cdp doctor``: judges the facts; each finding says what to do next.

A failure keeps the platform from working or loses something; a warning will become one,
or means that somebody has to look.
"""

from collections.abc import Callable, Iterator, Sequence

from cdp_assets.operations.facts import Facts
from cdp_assets.operations.findings import Finding, Level
from cdp_assets.operations.flow_checks import (
    daemon_runs,
    deliveries_arrive,
    files_were_read,
    identity_is_published,
    last_run_succeeded,
    plans_are_within_caps,
    quarantine_is_read,
    rulesets_pass_their_gates,
    runs_move,
    streams_are_fresh,
)
from cdp_assets.operations.place_checks import (
    backup_is_recent,
    clock_is_live,
    disk_space,
    files_are_whole,
    lock_moves,
    migrations_applied,
    restore_finished,
)

EXIT_CODES: dict[Level, int] = {"ok": 0, "warning": 1, "failure": 2}
Check = Callable[[Facts], Iterator[Finding]]

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
    plans_are_within_caps,
    rulesets_pass_their_gates,
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
    plans_are_within_caps,
    rulesets_pass_their_gates,
)


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
