"""Segments as assets: one per declaration, over the profile and its insights."""

import json
from collections.abc import Iterable
from typing import Any

import dagster as dg

from cdp_assets.defs.dbt import MANIFEST
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.segments.expression import read_expression
from cdp_assets.segments.membership import close_missing, update_membership
from cdp_assets.segments.namespace import PROFILE, RUN, profile_columns
from cdp_assets.segments.spec import SegmentSpec, check, load_segments

GROUP = "segments"
OWNER = "team:marketing"
SEGMENTS = load_segments()
COLUMNS = profile_columns(json.loads(MANIFEST.read_text(encoding="utf-8")))
MEMBERSHIP = dg.AssetKey(["segments", "membership"])


def segment_key(name: str) -> dg.AssetKey:
    """The asset of a segment."""
    return dg.AssetKey(["segments", name])


def profile_keys(aliases: Iterable[str]) -> list[dg.AssetKey]:
    """The dbt models behind names that conditions and mappings may use."""
    return [
        dg.AssetKey(["insights", alias])
        if alias != PROFILE
        else dg.AssetKey(["unified", "unified_individual"])
        for alias in sorted({PROFILE, *aliases} - {RUN})
    ]


def segment_asset(spec: SegmentSpec) -> dg.AssetsDefinition:
    """Build the asset of one segment; a condition that cannot be is refused here."""
    check(spec, COLUMNS)
    aliases = read_expression(spec.condition).aliases

    @dg.asset(
        key=segment_key(spec.name),
        deps=profile_keys(aliases),
        group_name=GROUP,
        description=f"{spec.description}\n\nCondition: `{spec.condition.strip()}`",
        kinds={"duckdb"},
        owners=[OWNER],
        tags={"cdp/layer": "segments"},
    )
    def segment(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[Any]:
        with warehouse.get_connection(f"segment {spec.name}") as connection:
            run = warehouse.run(connection, context.run)
            result = update_membership(connection, spec, run.number, run.as_of)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": result.members,
                "members": result.members,
                "entered": result.entered,
                "left": result.left,
                "carried_over_merges": result.carried,
            }
        )

    return segment


SEGMENT_ASSETS = [segment_asset(spec) for spec in SEGMENTS.values()]


@dg.asset(
    key=MEMBERSHIP,
    deps=[segment_key(name) for name in SEGMENTS],
    group_name=GROUP,
    kinds={"duckdb"},
    owners=[OWNER],
    tags={"cdp/layer": "segments"},
)
def membership(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """One row per stay of a person in a segment, with when they entered and left.

    Members of segments whose declaration is gone leave here.
    """
    with warehouse.get_connection("closing segments") as connection:
        run = warehouse.run(connection, context.run)
        closed = close_missing(connection, SEGMENTS, run.as_of)
        rows, members = connection.execute(
            "select count(*), count(*) filter (where left_at is null) "
            "from segments.membership"
        ).fetchone() or (0, 0)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "open_memberships": members,
            "left_with_their_segment": closed,
        }
    )


@dg.definitions
def segment_definitions() -> dg.Definitions:
    """One asset per segment, and the table that they share."""
    return dg.Definitions(assets=[*SEGMENT_ASSETS, membership])
