"""Launching the whole graph from a terminal, in this process, with progress.

``cdp run`` and the web server share one Dagster instance, so a run started here shows
in the UI, and neither starts while the other is at work.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus

from cdp_assets.defs.jobs import FULL_TAG
from cdp_assets.defs.progress import failed_check, failed_step
from cdp_assets.lock import is_free
from cdp_assets.paths import PROJECT, Paths

# Borne by runs whose process holds the lock of ``_lock_file`` for as long as it lives.
PID_TAG = "cdp/pid"
IN_FLIGHT = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def open_instance(paths: Paths) -> dg.DagsterInstance:
    """The instance of ``dagster.yaml``; its state follows ``CDP_DATA`` where set."""
    settle_home(paths)
    return dg.DagsterInstance.get()


def settle_home(paths: Paths) -> None:
    """Let this process and its children find that instance."""
    home = PROJECT
    if paths.root != PROJECT / "data":
        home = paths.root / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        settings = (PROJECT / "dagster.yaml").read_text(encoding="utf-8")
        moved = re.sub(r"(base_dir: )data/dagster", rf"\g<1>{home}", settings)
        (home / "dagster.yaml").write_text(moved, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    os.chdir(PROJECT)


@contextmanager
def sole_terminal(paths: Paths, say: Callable[[str], None]) -> Iterator[None]:
    """Be the only ``cdp run`` for the length of the block; wait for another first.

    Dagster's own records show a run seconds after it was decided on: two that start at
    the same instant would each find nothing in flight.
    """
    handle = os.open(_terminal_lock(paths), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another `cdp run`, which is in progress")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def terminal_is_at_work(paths: Paths) -> bool:
    """Whether a ``cdp run`` has begun and not ended."""
    return not is_free(_terminal_lock(paths), exclusive=False)


def wait_for_others(
    instance: dg.DagsterInstance, paths: Paths, say: Callable[[str], None]
) -> None:
    """Return when no run is in flight; runs of dead processes are marked failed."""
    told = False
    while runs := living_runs(instance, paths):
        if not told:
            say(f"waiting for run {runs[0].run_id[:8]}, which is in progress")
            told = True
        time.sleep(1)


def announce(
    instance: dg.DagsterInstance, paths: Paths, dagster_run: dg.DagsterRun
) -> None:
    """Let others see whether the process of this run still lives.

    Dagster's default launcher never looks: a run whose process was killed would stay
    in flight for ever, and with it the only place that runs have. A lock is freed by
    the operating system however the process ends, and no id is ever taken for another.
    """
    lock = _lock_file(paths)
    if lock not in _held:
        _held[lock] = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(_held[lock], fcntl.LOCK_SH)
    instance.add_run_tags(dagster_run.run_id, {PID_TAG: str(os.getpid())})


# Open, and so held, until this process ends.
_held: dict[Path, int] = {}


def living_runs(instance: dg.DagsterInstance, paths: Paths) -> list[dg.DagsterRun]:
    """Runs that have not ended; those whose process has are marked failed."""
    announced = [run.run_id for run in _in_flight(instance) if PID_TAG in run.tags]
    if announced and nobody_lives(paths):
        # Looked up again: one of them may have ended well before its process did.
        for run in _in_flight(instance):
            if run.run_id in announced:
                instance.report_run_failed(run, "its process ended without a word")
    return _in_flight(instance)


def _in_flight(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT)))


def nobody_lives(paths: Paths) -> bool:
    """Whether no process that announced a run is alive."""
    return is_free(_lock_file(paths))


def _lock_file(paths: Paths) -> Path:
    return _dagster_folder(paths) / "run.lock"


def _terminal_lock(paths: Paths) -> Path:
    return _dagster_folder(paths) / "terminal.lock"


def _dagster_folder(paths: Paths) -> Path:
    folder = paths.root / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class Outcome:
    """How a run over the whole graph ended."""

    succeeded: bool
    faults: list[str]
    """What failed, a line each: the steps and the checks that must pass."""
    warnings: dict[str, list[str]]
    """By check, the assets for which it warned."""


def run_graph(
    instance: dg.DagsterInstance, log: Path, *, full: bool = False
) -> Outcome:
    """Materialise every asset in flow order, progress to the terminal, rest to ``log``.

    Args:
        instance: Where the run is recorded.
        log: What steps print is added to this file; dbt writes a line per test.
        full: Resolve all people, whatever changed.
    """
    from cdp_assets.definitions import defs

    job = defs().resolve_job_def("everything")
    with log.open("a", encoding="utf-8") as written, redirect_stdout(written):
        result = job.execute_in_process(
            instance=instance,
            run_config={"loggers": {"progress": {}}},
            tags={FULL_TAG: "yes"} if full else None,
            raise_on_error=False,
        )
    faults: list[str] = []
    warnings: dict[str, list[str]] = {}
    for event in result.all_events:
        if event.is_step_failure:
            faults.append(failed_step(event))
        elif check := failed_check(event):
            asset = "/".join(check.asset_key.path)
            if check.severity is dg.AssetCheckSeverity.WARN:
                warnings.setdefault(check.check_name, []).append(asset)
            else:
                faults.append(f"check {check.check_name} of {asset}")
    return Outcome(result.success, faults, warnings)
