"""Publication as assets: what readers use, so that they never open the warehouse."""

from typing import Any

import dagster as dg

from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.segments import COLUMNS, MEMBERSHIP, profile_keys
from cdp_assets.publication.documents import publish_documents
from cdp_assets.publication.snapshot import publish_snapshot

GROUP = "publication"
OWNER = "team:data-platform"
READS = [
    *profile_keys(COLUMNS),
    *(
        dg.AssetKey(["unified", f"unified_contact_point_{kind}"])
        for kind in ("email", "phone", "address")
    ),
    MEMBERSHIP,
]


@dg.asset(
    key=["publication", "profile_documents"],
    deps=READS,
    group_name=GROUP,
    kinds={"sqlite"},
    owners=[OWNER],
    tags={"cdp/layer": "publication"},
)
def profile_documents(warehouse: WarehouseResource) -> dg.MaterializeResult[Any]:
    """One JSON document per person in SQLite, and every key that leads to it.

    Only people whose document changed are written; retired ids lead to the living.
    """
    with warehouse.reading("publishing profiles") as connection:
        result = publish_documents(connection, warehouse.paths)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": result.total,
            "upserted": result.upserted,
            "deleted": result.deleted,
            "unchanged": result.unchanged,
        }
    )


@dg.asset(
    key=["publication", "snapshot"],
    deps=READS,
    group_name=GROUP,
    kinds={"parquet", "duckdb"},
    owners=[OWNER],
    tags={"cdp/layer": "publication"},
)
def snapshot(warehouse: WarehouseResource) -> dg.MaterializeResult[Any]:
    """The tables that analysts read, as Parquet behind one pointer that a rename swaps.

    Unchanged tables are linked, and of a large table that changed a little the changes
    are written; two versions are kept.
    """
    with warehouse.reading("publishing the snapshot") as connection:
        result = publish_snapshot(connection, warehouse.paths)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": result.rows,
            "version": result.version,
            "new_version": result.created,
            "tables_written": len(result.written),
            "tables_amended": len(result.amended),
            "tables_linked": result.linked,
        }
    )


@dg.definitions
def publication_definitions() -> dg.Definitions:
    """Profile documents and the snapshot."""
    return dg.Definitions(assets=[profile_documents, snapshot])
