"""Rulesets beside the published one: resolved every night, or by hand.

A job of its own, and its result an event of the asset ``identity/ruleset_link``: waves
materialise every asset, and nobody waits for what nothing follows.
"""

import dagster as dg

from cdp_assets.defs.identity import GROUP, LINKS, OWNER, READS
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.rulesets.comparing import compare_rulesets, table
from cdp_assets.rulesets.spec import PUBLISHED, load_rulesets
from cdp_assets.rulesets.standing import Standing

# Read when the code location loads: one that cannot work is refused then.
RULESETS = load_rulesets()
KEY = dg.AssetKey(["identity", "ruleset_link"])
RULESET_LINK = dg.AssetSpec(
    KEY,
    description="One row per ruleset beside the published one, object and record: "
    "whose person the record is by that ruleset. Nothing follows it.",
    group_name=GROUP,
    kinds={"duckdb"},
    owners=[OWNER],
    tags={"cdp/layer": "identity"},
    deps=[LINKS, *(dg.AssetKey(["dmo", name]) for name in READS)],
)


@dg.op
def resolved_rulesets(
    context: dg.OpExecutionContext, warehouse: WarehouseResource
) -> None:
    """The people of every ruleset, and how they compare with those published."""
    found = compare_rulesets(warehouse.paths, rulesets=RULESETS, say=context.log.info)
    context.log_event(
        dg.AssetMaterialization(
            KEY,
            description=f"{', '.join(sorted(RULESETS)) or 'no ruleset'} beside the "
            "published one",
            metadata={
                "dagster/row_count": sum(
                    each.records for each in found if each.ruleset != PUBLISHED
                ),
                "comparison": dg.MetadataValue.md("\n".join(table(found))),
                **_over_time(found),
            },
        )
    )


def _over_time(standings: list[Standing]) -> dict[str, float]:
    """Plain figures of people, which Dagster draws over time."""
    return {
        f"consolidation_{each.ruleset}": round(each.consolidation_rate, 4)
        for each in standings
        if each.object == "individual"
    }


@dg.job(description="Who is who by every ruleset beside the published one.")
def compare_all_rulesets() -> None:
    resolved_rulesets()


@dg.schedule(
    job=compare_all_rulesets,
    cron_schedule="40 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="After the night's resolution, if any ruleset is declared.",
)
def rulesets_nightly(
    warehouse: WarehouseResource,
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a comparison where there is something to compare."""
    if not RULESETS:
        return dg.SkipReason("no ruleset is declared beside the published one")
    if not warehouse.paths.warehouse.exists():
        return dg.SkipReason("nothing was loaded yet")
    return dg.RunRequest()


@dg.definitions
def ruleset_definitions() -> dg.Definitions:
    """The asset as it is looked at, the job, and its schedule."""
    return dg.Definitions(
        assets=[RULESET_LINK], jobs=[compare_all_rulesets], schedules=[rulesets_nightly]
    )
