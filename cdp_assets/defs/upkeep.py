"""Upkeep by night: a backup, and what only grows is cut."""

import datetime as dt
import shutil
from dataclasses import asdict
from pathlib import Path

import dagster as dg

from cdp_assets.defs.launch import IN_FLIGHT
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.operations.backup import KEPT, backup
from cdp_assets.operations.manifest import read_manifest
from cdp_assets.operations.upkeep import cut_books
from cdp_assets.warehouse import utc_now

# Dagster's own retention in dagster.yaml covers ticks only.
RUN_DAYS = 30


class BackupConfig(dg.Config):
    """How many backups stay."""

    keep: int = KEPT


class RetentionConfig(dg.Config):
    """For how many days runs, their events and their logs stay."""

    run_days: int = RUN_DAYS


@dg.op
def saved(
    context: dg.OpExecutionContext, config: BackupConfig, warehouse: WarehouseResource
) -> None:
    """What no run could derive again, in CDP_BACKUPS or data/backups."""
    if not warehouse.paths.warehouse.exists():
        context.log.info("there is no warehouse yet")
        return
    made = backup(warehouse.paths, keep=config.keep)
    manifest = read_manifest(made)
    context.add_output_metadata(
        {
            "backup": made.name,
            "rows": manifest.rows,
            "tables": len(manifest.tables),
            "bytes": sum(file.bytes for file in manifest.files),
        }
    )


@dg.op
def cut(
    context: dg.OpExecutionContext,
    config: RetentionConfig,
    warehouse: WarehouseResource,
) -> None:
    """Old runs with their events and logs, and books that nobody reads any more."""
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=config.run_days)
    runs = purge_runs(context.instance, before)
    rows = {}
    if warehouse.paths.warehouse.exists():
        with warehouse.get_connection("cutting the books") as connection:
            rows = asdict(cut_books(connection, now=utc_now()))
    context.add_output_metadata({"runs": runs, **rows})


def purge_runs(instance: dg.DagsterInstance, before: dt.datetime) -> int:
    """Delete runs that ended and were made before an instant, with all they left.

    The last run of each job stays, and the last that succeeded: freshness and the UI
    know an asset's state from its events.

    Returns:
        How many were deleted.
    """
    ended = [status for status in dg.DagsterRunStatus if status not in IN_FLIGHT]
    jobs = {run.job_name for run in instance.get_runs(dg.RunsFilter(statuses=ended))}
    kept = {
        run.run_id
        for job in jobs
        for statuses in (ended, [dg.DagsterRunStatus.SUCCESS])
        for run in instance.get_runs(
            dg.RunsFilter(job_name=job, statuses=statuses), limit=1
        )
    }
    old = instance.get_runs(dg.RunsFilter(statuses=ended, created_before=before))
    gone = [run.run_id for run in old if run.run_id not in kept]
    for run_id in gone:
        _purge(instance, run_id)
    return len(gone)


def _purge(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)
    folder = Path(instance.storage_directory()) / run_id
    shutil.rmtree(folder, ignore_errors=True)
    # SQLite storage empties a run's own event file and leaves it lying.
    shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if shard is not None:
        path = Path(shard(run_id))
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


@dg.job(description="A backup of what no run could derive again.")
def nightly_backup() -> None:
    saved()


@dg.job(description="Old runs, their events and logs, and old books are deleted.")
def daily_upkeep() -> None:
    cut()


@dg.definitions
def upkeep_definitions() -> dg.Definitions:
    """Both jobs, after the nightly resolution, on from the start."""
    running = dg.DefaultScheduleStatus.RUNNING
    return dg.Definitions(
        jobs=[nightly_backup, daily_upkeep],
        schedules=[
            dg.ScheduleDefinition(
                job=nightly_backup, cron_schedule="15 3 * * *", default_status=running
            ),
            dg.ScheduleDefinition(
                job=daily_upkeep, cron_schedule="45 3 * * *", default_status=running
            ),
        ],
    )
