"""The landing zone's nightly upkeep: loaded files are compacted, old ones deleted."""

import dagster as dg

from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.streams import SPECS
from cdp_assets.runs import pinned_as_of
from cdp_assets.streams.compaction import compact
from cdp_assets.streams.expiry import expire
from cdp_assets.streams.landing import ask_for_wave
from cdp_assets.warehouse import utc_now


@dg.op(description="Rewrites loaded files into one Parquet file per stream and day.")
def compact_landing(
    context: dg.OpExecutionContext, warehouse: WarehouseResource
) -> None:
    """Compact every stream, each under a lock of its own so that others get between."""
    for spec in SPECS.values():
        with warehouse.get_connection(f"compacting {spec.name}") as connection:
            done = compact(connection, warehouse.paths, spec)
        if done.files or done.left:
            context.log.info(
                f"{spec.name}: {done.files} files are {done.into} now, "
                f"{done.bytes_before} bytes {done.bytes_after}; {done.left} left"
            )


@dg.op(
    ins={"compacted": dg.In(dg.Nothing)},
    description="Deletes files and events older than their stream keeps them.",
)
def expire_landing(
    context: dg.OpExecutionContext, warehouse: WarehouseResource
) -> None:
    """Enforce every stream's retention as of the run's clock."""
    as_of = pinned_as_of(warehouse.paths) or utc_now()
    buried = 0
    for spec in SPECS.values():
        with warehouse.get_connection(f"expiring {spec.name}") as connection:
            done = expire(connection, warehouse.paths, spec, as_of=as_of)
        if done.files or done.rows:
            context.log.info(
                f"{spec.name}: {done.files} files and {done.rows} events were older "
                f"than {spec.retention_days} days"
            )
        buried += done.rows
    if buried:
        ask_for_wave(warehouse.paths)


@dg.job(description="Compacts the landing zone and enforces each stream's retention.")
def landing_upkeep() -> None:
    """Compaction first: retention deletes by day what it made."""
    expire_landing(compact_landing())


@dg.definitions
def upkeep_definitions() -> dg.Definitions:
    """The job, and its time: before the nightly resolution, which sees the result."""
    return dg.Definitions(
        jobs=[landing_upkeep],
        schedules=[
            dg.ScheduleDefinition(
                job=landing_upkeep,
                cron_schedule="45 0 * * *",
                default_status=dg.DefaultScheduleStatus.RUNNING,
            )
        ],
    )
