"""Data streams: one source asset per declaration.

When they materialise stands in waves.py; the asset works out what is left to load. So a
run that fails loses nothing: its files are still unseen when the next run comes.
"""

import datetime as dt
from collections.abc import Sequence

import dagster as dg

from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.streams import absence, inbox, quarantine, reference
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.ledger import LoadResult
from cdp_assets.streams.load import load_wave
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import utc_now

SPECS = load_streams()
GROUP = "streams"
# What each check says, and whether what follows must not run where it fails.
CHECKS = {
    "rows_are_conserved": (
        "Rows in = inserted + updated + deleted + unchanged + superseded + "
        "quarantined.",
        True,
    ),
    "nothing_is_quarantined": (
        "`cdp quarantine list` shows the rows that wait.",
        False,
    ),
    "nothing_is_held": (
        "A full extract that would delete too much waits for `cdp stream release`.",
        False,
    ),
}
OWNER = "team:data-platform"


def stream_key(name: str) -> dg.AssetKey:
    """The asset of a stream is its DLO table."""
    return dg.AssetKey(["dlo", name])


def stream_asset(spec: StreamSpec) -> dg.AssetsDefinition:
    """Build the source asset of one stream."""
    key = stream_key(spec.name)

    @dg.asset(
        key=key,
        group_name=GROUP,
        description=_description(spec),
        kinds={"duckdb", spec.connection.format},
        owners=[OWNER],
        tags={"cdp/layer": "dlo", "cdp/category": spec.category},
        metadata={
            "source": f"{spec.source_system} {spec.source_object}",
            "schedule": spec.schedule,
            "retention_days": spec.retention_days,
        },
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=dt.timedelta(hours=spec.freshness_hours)
        ),
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, description=says, blocking=blocks)
            for name, (says, blocks) in CHECKS.items()
        ],
    )
    def stream(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        look = inbox.adopt(warehouse.paths, {spec.name: spec})
        with warehouse.get_connection(f"loading {spec.name}") as connection:
            # Fixes the run's instant, which bounds how new a version may be.
            warehouse.run(connection, context.run)
            ensure_table(connection, spec)
            loaded, left = load_wave(
                connection, warehouse.paths, spec, started_at=utc_now()
            )
            context.log.info(
                f"{spec.name}: {loaded.files} files loaded, {left} left for later waves"
            )
            (rows,) = connection.execute(
                f"select count(*) from dlo.{spec.name} where not _is_deleted"
            ).fetchone() or (0,)
            faults = quarantine.counts(connection, spec.name)
            held = absence.held(connection, spec)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows,
                "quarantine": dg.MetadataValue.md(_table(faults)),
                "left_in_inbox": len(look.unsettled),
                "left_for_later_waves": left,
                "held": held.reason if held else "nothing",
                **_numbers(loaded),
            },
            check_results=_checks(loaded, faults, held),
        )

    return stream


def _description(spec: StreamSpec) -> str:
    parts = [
        spec.description,
        f"Authoritative for: {', '.join(spec.authoritative_for) or 'nothing'}.",
        *(f"Known issue: {issue}" for issue in spec.known_issues),
    ]
    return "\n\n".join(parts)


def _numbers(loaded: LoadResult) -> dict[str, int]:
    return {
        "rows_in": loaded.rows_in,
        "inserted": loaded.inserted,
        "updated": loaded.updated,
        "deleted": loaded.deleted,
        "unchanged": loaded.unchanged,
        "superseded": loaded.superseded,
        "quarantined": loaded.quarantined,
        "files": loaded.files,
        "unreadable_files": loaded.unreadable_files,
        "held_files": loaded.held_files,
    }


def _checks(
    loaded: LoadResult,
    faults: Sequence[quarantine.Count],
    held: absence.Held | None,
) -> list[dg.AssetCheckResult]:
    answered = (
        loaded.inserted
        + loaded.updated
        + loaded.deleted
        + loaded.unchanged
        + loaded.superseded
        + loaded.quarantined
    )
    waiting = sum(fault.records for fault in faults)
    return [
        dg.AssetCheckResult(
            check_name="rows_are_conserved",
            passed=answered == loaded.rows_in,
            metadata={"rows_in": loaded.rows_in, "answered_for": answered},
        ),
        dg.AssetCheckResult(
            check_name="nothing_is_quarantined",
            passed=waiting == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "quarantined_rows": waiting,
                "by_field_and_reason": dg.MetadataValue.md(_table(faults)),
            },
        ),
        dg.AssetCheckResult(
            check_name="nothing_is_held",
            passed=held is None,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"file": held.file, "reason": held.reason} if held else {},
        ),
    ]


def _table(faults: Sequence[quarantine.Count]) -> str:
    if not faults:
        return "nothing"
    lines = ["| field | reason | rows |", "|---|---|---:|"]
    lines += [f"| {f.field} | {f.reason} | {f.records} |" for f in faults]
    return "\n".join(lines)


STREAM_ASSETS = [stream_asset(spec) for spec in SPECS.values()]


@dg.asset(
    key=["reference", "phone"],
    deps=[stream_key(spec.name) for spec in SPECS.values() if spec.phones],
    group_name=GROUP,
    kinds={"duckdb", "python"},
    owners=[OWNER],
    tags={"cdp/layer": "reference"},
)
def phone(warehouse: WarehouseResource) -> dg.MaterializeResult:
    """Every phone number the sources sent, as E.164 or with the reason why not.

    One row per raw text and country hint; only new pairs are worked out.
    """
    with warehouse.get_connection("normalising phone numbers") as connection:
        for spec in SPECS.values():
            ensure_table(connection, spec)
        added = reference.refresh_phones(connection, SPECS.values())
        rows, invalid = connection.execute(
            "select count(*), count(*) filter (where e164 is null) from reference.phone"
        ).fetchone() or (0, 0)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows, "added": added.new, "invalid": invalid}
    )


# Every load adds to these; no step of a run makes them anew.
OPERATIONS = {
    "load": "One row per load: how many rows came in, and what became of them.",
    "quarantine": "One row per record that could not be loaded, with its reason.",
}
OPERATION_ASSETS = [
    dg.AssetSpec(
        ["ops", table],
        description=description,
        deps=[stream_key(name) for name in SPECS],
        group_name=GROUP,
        kinds={"duckdb"},
        owners=[OWNER],
        tags={"cdp/layer": "ops"},
    )
    for table, description in OPERATIONS.items()
]


@dg.definitions
def stream_definitions() -> dg.Definitions:
    """The source assets, and the books that loads keep."""
    return dg.Definitions(assets=[*STREAM_ASSETS, *OPERATION_ASSETS, phone])
