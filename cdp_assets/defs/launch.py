"""Launching the whole graph from a terminal, in this process, with progress.

``cdp run`` and the web server share one Dagster instance, so a run started here shows
in the UI, and neither starts while the other is at work.
"""

import os
import re
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus

from cdp_assets.paths import PROJECT, Paths

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


def wait_for_others(instance: dg.DagsterInstance, say: Callable[[str], None]) -> None:
    """Return when no run is in flight; runs of dead processes are marked failed."""
    told = False
    while runs := _living(instance):
        if not told:
            say(f"waiting for run {runs[0].run_id[:8]}, which is in progress")
            told = True
        time.sleep(1)


def _living(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    living = []
    for run in instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT)):
        pid = run.tags.get(PID_TAG)
        if pid is not None and not Path(f"/proc/{pid}").exists():
            instance.report_run_failed(run, "its process ended without a word")
        else:
            living.append(run)
    return living


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
            tags={PID_TAG: str(os.getpid())},
            raise_on_error=False,
        )
    return result.success
