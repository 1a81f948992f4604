"""What Dagster knows of its runs and its daemon, for status, doctor and alerts."""

import datetime as dt

import dagster as dg

from cdp_assets.defs.launch import IN_FLIGHT, PID_TAG, nobody_lives, open_instance
from cdp_assets.operations.facts import History, RunFact
from cdp_assets.paths import Paths

_RUNS = 10


def history_of(paths: Paths) -> History:
    """The last runs; none where Dagster has never run in this folder."""
    if not (paths.root / "dagster" / "history").is_dir():
        return History()
    with open_instance(paths) as instance:
        return history(instance, paths)


def history(instance: dg.DagsterInstance, paths: Paths) -> History:
    """The last runs, the newest first, and those in flight however old they are."""
    recent = instance.get_run_records(limit=_RUNS)
    seen = {record.dagster_run.run_id for record in recent}
    recent = [
        *recent,
        *(
            record
            for record in instance.get_run_records(dg.RunsFilter(statuses=IN_FLIGHT))
            if record.dagster_run.run_id not in seen
        ),
    ]
    beats = [
        status.last_heartbeat.timestamp
        for status in instance.get_daemon_statuses().values()
        if status.last_heartbeat is not None
    ]
    gone = any(r.dagster_run.status in IN_FLIGHT for r in recent) and nobody_lives(
        paths
    )
    return History(
        runs=[_fact(record, gone=gone) for record in recent],
        daemon_at=_instant(max(beats)) if beats else None,
    )


def _fact(record: dg.RunRecord, *, gone: bool) -> RunFact:
    run = record.dagster_run
    in_flight = run.status in IN_FLIGHT
    return RunFact(
        run_id=run.run_id,
        job=run.job_name,
        status=run.status.value,
        created_at=record.create_timestamp.astimezone(dt.UTC).replace(tzinfo=None),
        ended_at=_instant(record.end_time) if record.end_time else None,
        is_in_flight=in_flight,
        # A run that was never announced may wait for its process in the queue.
        is_orphaned=in_flight and gone and PID_TAG in run.tags,
    )


def _instant(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)
