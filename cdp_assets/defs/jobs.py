"""The jobs: which parts of the graph run together."""

import dagster as dg

# Runs that bring every profile up to date; the sensor asks whether the last one did.
COVERS = {"cdp/covers": "everything"}

# Runs that resolve all people, whatever changed; any run may bear it.
FULL_TAG = "cdp/full"

EVERYTHING = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    tags=COVERS,
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
    tags={**COVERS, FULL_TAG: "yes"},
    description="The canonical model, all people and all that follows, in full.",
)


@dg.definitions
def job_definitions() -> dg.Definitions:
    """All jobs."""
    return dg.Definitions(jobs=[EVERYTHING, HOURLY, DAILY, NIGHTLY])
