"""When runs happen: the landing sensor, and the schedules.

A sensor or a schedule says when; what is left to do the assets work out from the
warehouse. One run covers every stream that has waiting files and all that follows from
them, and no second one is asked for while a run is in flight.
"""

import itertools
import json
from collections.abc import Sequence

import dagster as dg

from cdp_assets.defs.launch import IN_FLIGHT
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.streams import SPECS, stream_key
from cdp_assets.paths import Paths
from cdp_assets.streams import inbox, landing
from cdp_assets.warehouse import Warehouse

EVERYTHING = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    description="Every asset in flow order: what `make run` runs.",
)
AFTER_IDENTITY = dg.AssetSelection.groups(
    "insights", "segments", "activation", "publication", "monitoring"
)
HOURLY = dg.define_asset_job(
    "insights_hourly",
    selection=AFTER_IDENTITY,
    description="Insights whose windows move with the hour, and what acts on them.",
)
DAILY = dg.define_asset_job(
    "insights_daily",
    selection=dg.AssetSelection.groups("unified") | AFTER_IDENTITY,
    description="Every profile and insight anew as of this day.",
)
NIGHTLY = dg.define_asset_job(
    "nightly_resolution",
    selection=dg.AssetSelection.groups("harmonisation", "identity", "unified")
    | AFTER_IDENTITY,
    description="The canonical model, all people and all that follows, in full.",
)


def waiting_streams(opener: Warehouse) -> list[str]:
    """The streams with landed files that no load has seen, ours aside."""
    specs = [spec for spec in SPECS.values() if not spec.is_system]
    if not opener.paths.warehouse.exists():
        return [spec.name for spec in specs if landing.landed(opener.paths, spec.name)]
    with opener.reading("looking for waiting files") as connection:
        return [
            spec.name
            for spec in specs
            if landing.waiting(connection, opener.paths, spec)
        ]


def landed_state(paths: Paths) -> dict[str, list[object]]:
    """Per stream how many files landed, and the last one: cheap to compare."""
    state: dict[str, list[object]] = {}
    for name in SPECS:
        files = landing.landed(paths, name)
        if files:
            state[name] = [len(files), files[-1].name]
    return state


def run_in_flight(instance: dg.DagsterInstance) -> str | None:
    """The id of a run that has not ended, if there is one."""
    runs = instance.get_run_records(dg.RunsFilter(statuses=IN_FLIGHT), limit=1)
    return runs[0].dagster_run.run_id if runs else None


def wave(streams: Sequence[str], every_key: Sequence[dg.AssetKey]) -> dg.RunRequest:
    """One run over these streams and everything that is not a stream."""
    chosen = [stream_key(name) for name in streams]
    others = [key for key in every_key if key.path[0] != "dlo"]
    return dg.RunRequest(
        job_name=EVERYTHING.name,
        asset_selection=[*chosen, *others],
        tags={"cdp/wave": ",".join(streams)[:200]},
    )


@dg.sensor(
    job=EVERYTHING,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adopts what was dropped in the inbox, and asks for one run over every "
    "stream that has waiting files and all that follows from them.",
)
def landing_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource
) -> dg.SensorResult | dg.SkipReason:
    """Ask for a wave when files wait, and for no second one while one is in flight."""
    running = run_in_flight(context.instance)
    if running:
        return dg.SkipReason(f"run {running[:8]} is in flight; its successor takes all")
    cursor = json.loads(context.cursor or "{}")
    earlier = {name: tuple(state) for name, state in cursor.get("unsettled", [])}
    look = inbox.adopt(warehouse.paths, SPECS, earlier=earlier)
    unsettled = [[name, list(state)] for name, state in look.unsettled.items()]
    landed = landed_state(warehouse.paths)
    waiting = (
        [] if landed == cursor.get("landed") else waiting_streams(warehouse.opener())
    )
    now = json.dumps({"unsettled": unsettled, "landed": landed})
    if not waiting:
        context.update_cursor(now)
        refused = "; ".join(f"{name}: {why}" for name, why in look.refused.items())
        return dg.SkipReason(
            f"no new files; refused in the inbox: {refused}"[:500]
            if refused
            else "no new files"
        )
    # The cursor keeps what was landed before, so that the next look, after this run,
    # asks the ledger again: a run that failed left its files waiting.
    keep = json.dumps({"unsettled": unsettled, "landed": cursor.get("landed")})
    keys = _every_key(context)
    return dg.SensorResult(run_requests=[wave(waiting, keys)], cursor=keep)


def _every_key(
    context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext,
) -> list[dg.AssetKey]:
    repository = context.repository_def
    assert repository is not None  # noqa: S101 - a daemon always has one
    return sorted(repository.asset_graph.materializable_asset_keys)


def stream_schedule(cron: str, names: Sequence[str]) -> dg.ScheduleDefinition:
    """Look at these streams at their own times, sensor or no sensor."""

    @dg.schedule(
        name=f"streams_{'_'.join(sorted({SPECS[n].source_system for n in names}))}",
        cron_schedule=cron,
        job=EVERYTHING,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Materialises {', '.join(names)}; when files wait, also all that "
        "follows from them.",
    )
    def look(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> dg.RunRequest | dg.SkipReason:
        running = run_in_flight(context.instance)
        if running:
            return dg.SkipReason(f"run {running[:8]} is in flight")
        inbox.adopt(warehouse.paths, SPECS)
        if set(waiting_streams(warehouse.opener())) & set(names):
            return wave(names, _every_key(context))
        return wave(names, [])

    return look


def stream_schedules() -> list[dg.ScheduleDefinition]:
    """One schedule per time of day and source system that streams name."""
    order = sorted(SPECS.values(), key=lambda spec: (spec.source_system, spec.schedule))
    grouped = itertools.groupby(order, lambda s: (s.source_system, s.schedule))
    return [
        stream_schedule(cron, [spec.name for spec in group])
        for (_, cron), group in grouped
    ]


@dg.definitions
def wave_definitions() -> dg.Definitions:
    """The sensor, the schedules and their jobs."""
    running = dg.DefaultScheduleStatus.RUNNING
    return dg.Definitions(
        sensors=[landing_sensor],
        jobs=[EVERYTHING, HOURLY, DAILY, NIGHTLY],
        schedules=[
            *stream_schedules(),
            dg.ScheduleDefinition(
                job=HOURLY, cron_schedule="5 * * * *", default_status=running
            ),
            dg.ScheduleDefinition(
                job=DAILY, cron_schedule="10 0 * * *", default_status=running
            ),
            dg.ScheduleDefinition(
                job=NIGHTLY, cron_schedule="30 1 * * *", default_status=running
            ),
        ],
    )
