"""The landing sensor: when files arrive, and when a wave has to be asked for again.

The sensor says when; what is left to do the assets work out from the warehouse. One
run covers every stream that has waiting files and all that follows from them, and no
second one is asked for while a run is in flight.
"""

import datetime as dt
import hashlib
import json
import time
from collections.abc import Sequence

import dagster as dg

from cdp_assets.defs.jobs import COVERS, EVERYTHING
from cdp_assets.defs.launch import living_runs, terminal_is_at_work
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.streams import SPECS, stream_key
from cdp_assets.paths import Paths
from cdp_assets.streams import inbox, landing
from cdp_assets.warehouse import Warehouse, WarehouseBusyError

# What made a wave fail may be over at once, or may need somebody: asked for again
# first immediately, then after one minute, two, four, … and at last every hour.
FIRST_PAUSE, LONGEST_PAUSE = 60, 3600


def waiting_streams(paths: Paths) -> list[str]:
    """The streams with landed files that no load has seen, ours aside.

    Raises:
        WarehouseBusyError: Somebody writes without being a run; look again later.
    """
    specs = [spec for spec in SPECS.values() if not spec.is_system]
    if not paths.warehouse.exists():
        return [
            spec.name
            for spec in specs
            if landing.landed(paths, spec.name)
            or landing.compacted_files(paths, spec.name)
        ]
    # A look that takes longer than a minute would be cut off as an error.
    with Warehouse(paths, wait_seconds=5).reading("waiting files") as connection:
        return [spec.name for spec in specs if landing.waiting(connection, paths, spec)]


def landed_state(paths: Paths) -> str:
    """A digest of what has landed: while it stays the same, nothing new can wait."""
    digest = hashlib.sha256()
    for name in SPECS:
        files = landing.landed(paths, name)
        last = files[-1].name if files else ""
        digest.update(f"{name} {len(files)} {last}\n".encode())
    return digest.hexdigest()[:16]


def in_flight(instance: dg.DagsterInstance, paths: Paths) -> str | None:
    """Why to ask for nothing now, if a run has not ended."""
    if terminal_is_at_work(paths):
        return "`cdp run` is at work in a terminal"
    runs = living_runs(instance, paths)
    return f"run {runs[0].run_id[:8]} is in flight" if runs else None


def failed_waves(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    """The runs over everything that failed since the last that succeeded."""
    records = instance.get_run_records(dg.RunsFilter(tags=COVERS), limit=10)
    failed = []
    for record in records:
        if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
            break
        failed.append(record)
    return failed


def pause_until(failed: Sequence[dg.RunRecord]) -> float:
    """When to ask again after these failures, in seconds since 1970."""
    if len(failed) < 2:
        return 0.0
    pause = min(FIRST_PAUSE * 2.0 ** (len(failed) - 2), LONGEST_PAUSE)
    return (failed[0].end_time or failed[0].update_timestamp.timestamp()) + pause


def wave(streams: Sequence[str], every_key: Sequence[dg.AssetKey]) -> dg.RunRequest:
    """One run over these streams and everything that is not a stream."""
    chosen = [stream_key(name) for name in streams]
    others = [key for key in every_key if key.path[0] != "dlo"]
    return dg.RunRequest(
        job_name=EVERYTHING.name,
        asset_selection=[*chosen, *others],
        tags={**COVERS, "cdp/wave": ",".join(streams)[:200] or "what the last left"},
    )


def every_key(
    context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext,
) -> list[dg.AssetKey]:
    """Every asset that a run can make."""
    repository = context.repository_def
    assert repository is not None  # noqa: S101 - a daemon always has one
    return sorted(repository.asset_graph.materializable_asset_keys)


@dg.sensor(
    job=EVERYTHING,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adopts what was dropped in the inbox, and asks for one run over every "
    "stream that has waiting files and all that follows from them; after a run that "
    "failed, again.",
)
def landing_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource
) -> dg.SensorResult | dg.SkipReason:
    """Ask for a wave when files wait, and for no second one while one is in flight."""
    paths = warehouse.paths
    running = in_flight(context.instance, paths)
    if running:
        return dg.SkipReason(f"{running}; its successor takes all")
    cursor = json.loads(context.cursor or "{}")
    earlier = {name: tuple(state) for name, state in cursor.get("unsettled", [])}
    look = inbox.adopt(paths, SPECS, earlier=earlier)
    unsettled = [[name, list(state)] for name, state in look.unsettled.items()]
    landed, failed = landed_state(paths), failed_waves(context.instance)
    # Until a wave has succeeded the cursor keeps what was landed before it, so that
    # the next look asks the ledger again: a run that failed left its files waiting,
    # or loaded them without what follows.
    seen = cursor.get("landed")
    asked = landing.asked(paths)
    is_asked = asked != cursor.get("asked", "")
    kept = {"unsettled": unsettled, "landed": seen, "asked": cursor.get("asked", "")}
    context.update_cursor(json.dumps(kept))
    if landed == seen and not failed and not is_asked:
        return dg.SkipReason(_nothing_new(look))
    later = pause_until(failed)
    if time.time() < later:
        at = dt.datetime.fromtimestamp(later, dt.UTC)
        return dg.SkipReason(
            f"the last {len(failed)} runs failed; asks again at {at:%H:%M:%S} UTC"
        )
    try:
        waiting = waiting_streams(paths)
    except WarehouseBusyError as busy:
        return dg.SkipReason(str(busy))
    if waiting or failed or is_asked:
        context.update_cursor(json.dumps(kept | {"asked": asked}))
        return dg.SensorResult(run_requests=[wave(waiting, every_key(context))])
    context.update_cursor(json.dumps(kept | {"landed": landed}))
    return dg.SkipReason(_nothing_new(look))


def _nothing_new(look: inbox.Adoption) -> str:
    refused = "; ".join(f"{name}: {why}" for name, why in look.refused.items())
    return (
        f"no new files; refused in the inbox: {refused}"[:500]
        if refused
        else ("no new files")
    )


@dg.definitions
def wave_definitions() -> dg.Definitions:
    """The sensor."""
    return dg.Definitions(sensors=[landing_sensor])
