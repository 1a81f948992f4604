"""Launching the whole graph from a terminal, in this process, with progress.

``cdp run`` and the web server share one Dagster instance, so a run started here shows
in the UI, and neither starts while the other is at work.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus

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
    home = PROJECT
    if paths.root != PROJECT / "data":
        home = paths.root / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        settings = (PROJECT / "dagster.yaml").read_text(encoding="utf-8")
        moved = re.sub(r"(base_dir: )data/dagster", rf"\g<1>{home}", settings)
        (home / "dagster.yaml").write_text(moved, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    os.chdir(PROJECT)
    return dg.DagsterInstance.get()


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
    handle = os.open(_lock_file(paths), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(handle)


def _lock_file(paths: Paths) -> Path:
    folder = paths.root / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "run.lock"


def run_graph(instance: dg.DagsterInstance, log: Path) -> bool:
    """Materialise every asset in flow order, progress to the terminal, rest to ``log``.

    Returns:
        Whether all of it succeeded.
    """
    from cdp_assets.definitions import defs

    job = defs().resolve_job_def("everything")
    with log.open("w", encoding="utf-8") as written, redirect_stdout(written):
        result = job.execute_in_process(
            instance=instance,
            run_config={"loggers": {"progress": {}}},
            raise_on_error=False,
        )
    return result.success
