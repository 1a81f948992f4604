"""The schedules: streams at their own times, insights hourly and daily, people nightly.

Streams are looked at at the times their declarations name, sensor or no sensor.
"""

from collections.abc import Sequence

import dagster as dg

from cdp_assets.defs.jobs import DAILY, EVERYTHING, HOURLY, NIGHTLY
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.streams import SPECS, stream_key
from cdp_assets.defs.waves import every_key, in_flight, waiting_streams, wave
from cdp_assets.streams import inbox
from cdp_assets.warehouse import WarehouseBusyError


def stream_schedule(
    label: str, cron: str, names: Sequence[str]
) -> dg.ScheduleDefinition:
    """Look at these streams at their own times."""

    @dg.schedule(
        name=f"streams_{label}",
        cron_schedule=cron,
        job=EVERYTHING,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Materialises {', '.join(names)}; when files wait, also all that "
        "follows from them.",
    )
    def look(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> dg.RunRequest | dg.SkipReason:
        running = in_flight(context.instance, warehouse.paths)
        if running:
            return dg.SkipReason(running)
        inbox.adopt(warehouse.paths, SPECS)
        try:
            waiting = waiting_streams(warehouse.paths)
        except WarehouseBusyError as busy:
            return dg.SkipReason(str(busy))
        if set(waiting) & set(names):
            return wave(sorted({*names, *waiting}), every_key(context))
        return dg.RunRequest(
            job_name=EVERYTHING.name,
            asset_selection=[stream_key(name) for name in names],
            tags={"cdp/covers": "streams"},
        )

    return look


def stream_schedules() -> list[dg.ScheduleDefinition]:
    """One schedule per time of day and source system that streams name."""
    times: dict[str, dict[str, list[str]]] = {}
    for spec in SPECS.values():
        crons = times.setdefault(spec.source_system, {})
        crons.setdefault(spec.schedule, []).append(spec.name)
    return [
        stream_schedule(system if len(crons) == 1 else "_".join(names), cron, names)
        for system, crons in times.items()
        for cron, names in crons.items()
    ]


@dg.definitions
def schedule_definitions() -> dg.Definitions:
    """All schedules, on from the start."""
    running = dg.DefaultScheduleStatus.RUNNING
    return dg.Definitions(
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
