"""Segments as assets: one per declaration, over the profile and its insights."""

import json
from collections.abc import Iterable
from typing import Any

import dagster as dg

from cdp_assets.defs.dbt import MANIFEST
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.segments.membership import close_missing, update_membership
from cdp_assets.segments.namespace import PROFILE, RUN, profile_columns
from cdp_assets.segments.overlap import as_markdown, overlap
from cdp_assets.segments.spec import (
    SegmentSpec,
    check,
    insight_aliases,
    load_segments,
)

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


def in_words(spec: SegmentSpec) -> str:
    """Condition, limit and times, for whoever looks at the asset."""
    words = f"Condition: `{spec.condition.strip()}`"
    if spec.limit is not None:
        end = "highest" if spec.limit.highest else "lowest"
        per = f" per `{spec.limit.per}`" if spec.limit.per else ""
        words += f"\n\nOf these the {spec.limit.top:,} with the {end} "
        words += f"`{spec.limit.figure}`{per}"
    return f"{words}\n\nEvaluated: {spec.evaluate.replace('_', ' ')}"


def reads(spec: SegmentSpec) -> list[dg.AssetKey]:
    """What a segment is made from: profile, insights, engagement, other segments."""
    engaged = ["unified_engagement_event", "unified_sales_order"]
    return [
        *profile_keys(insight_aliases(spec)),
        *(dg.AssetKey(["unified", name]) for name in engaged if spec.engagement),
        *(segment_key(name) for name in sorted(spec.inner)),
    ]


def segment_asset(spec: SegmentSpec) -> dg.AssetsDefinition:
    """Build the asset of one segment; a condition that cannot be is refused here."""
    check(spec, COLUMNS, SEGMENTS)

    @dg.asset(
        key=segment_key(spec.name),
        deps=reads(spec),
        group_name=GROUP,
        description=f"{spec.description}\n\n{in_words(spec)}",
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
                "evaluated": result.evaluated,
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
        shared = overlap(connection)
        rows, members = connection.execute(
            "select count(*), count(*) filter (where left_at is null) "
            "from segments.membership"
        ).fetchone() or (0, 0)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "open_memberships": members,
            "left_with_their_segment": closed,
            "overlap": dg.MetadataValue.md(as_markdown(shared)),
        }
    )


@dg.definitions
def segment_definitions() -> dg.Definitions:
    """One asset per segment, and the table that they share."""
    return dg.Definitions(assets=[*SEGMENT_ASSETS, membership])
