"""The dbt project as assets, in the parts that identity and activation stand between.

Asset keys need no translation: dbt names an asset ``<schema>/<model>`` and a source
``<source>/<table>``, and our Python assets use the same names, so lineage joins.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)

from cdp_assets.activation.spec import load_activations
from cdp_assets.data_actions.spec import load_data_actions
from cdp_assets.dbt_faults import faults
from cdp_assets.declarations import quoted
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.paths import DBT_PROJECT, Paths

# Identity stands between the first and the second, activation before the third.
PARTS = {
    "harmonisation": "path:models/reference path:models/map path:models/dmo path:seeds",
    "customer": "path:models/unified path:models/insights path:models/article",
    "monitoring": "path:models/monitoring",
}
# Whatever leaves receipts, as keys of assets.
SENDERS = [
    *(dg.AssetKey(["activation", name]) for name in load_activations()),
    *(dg.AssetKey(["data_action", name]) for name in load_data_actions()),
]


def current_manifest(project: DbtProject) -> Path:
    """The project's manifest, parsed again when any of its files is newer.

    Several processes load the code location at once (web server, daemon, run); the
    lock keeps them from writing the manifest into each other.
    """
    target = Path(project.project_dir) / "target"
    target.mkdir(exist_ok=True)
    manifest = Path(project.manifest_path)
    with (target / ".parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not manifest.exists() or _newest(DBT_PROJECT) > manifest.stat().st_mtime:
            # Parsed for another warehouse, dbt would parse anew at each call: 4 s.
            name_warehouse(Paths.from_environment())
            RESOURCE.cli(["parse", "--quiet"], target_path=target).wait()
            os.utime(manifest)
    return manifest


def name_warehouse(paths: Paths) -> None:
    """Tell dbt, a child process, which file its profile means."""
    os.environ["CDP_WAREHOUSE"] = str(paths.warehouse)


def _newest(folder: Path) -> float:
    return max(
        path.stat().st_mtime
        for pattern in ("**/*.sql", "**/*.yml", "**/*.csv")
        for path in folder.glob(pattern)
        if "target" not in path.parts
    )


class Translator(DagsterDbtTranslator):
    """dbt's own description, plus the kinds and owners that our users filter by."""

    def get_asset_spec(
        self,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetSpec:
        """Add the layer as a tag, and what only our Python knows about the order."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        # Receipts reach the stream they are read from after its own asset ran.
        after = SENDERS if spec.key.path[-1] == "delivery_rates" else []
        return spec.merge_attributes(
            tags={"cdp/layer": spec.key.path[0]},
            deps=after,
        )


DBT = DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target="warehouse")
# The environment need not be activated for its own dbt to be found.
RESOURCE = DbtCliResource(
    project_dir=DBT, dbt_executable=str(Path(sys.executable).with_name("dbt"))
)
MANIFEST = current_manifest(DBT)
TRANSLATOR = Translator(
    settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True)
)


def _build(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource
) -> Iterator[Any]:
    """Run ``dbt build`` for what was selected, at this run's instant."""
    with warehouse.get_connection("starting dbt") as connection:
        run = warehouse.run(connection, context.run)
    name_warehouse(warehouse.paths)
    # Read by the macro as_of().
    os.environ["CDP_AS_OF"] = run.as_of.isoformat(sep=" ")
    events: list[Any] = []
    failure: Exception | None = None
    # Its child need not wait for the lock that this process holds for it.
    os.environ["CDP_WAREHOUSE_HELD_BY"] = str(os.getpid())
    with warehouse.opener().locked(f"dbt build of {context.op.name}"):
        # Unit tests judge the SQL, not the data: they run with `make test`.
        only = ["--exclude-resource-type", "unit_test"]
        build = dbt.cli(["build", *only], context=context)
        try:
            events.extend(build.stream())
        except Exception as error:
            failure = error
    with warehouse.reading("counting rows") as connection:
        for event in events:
            yield _counted(event, connection)
    if failure is not None:
        raise _explained(build, failure)


def _explained(build: DbtCliInvocation, failure: Exception) -> Exception:
    """The failure in words, where dbt came as far as to say what failed."""
    try:
        results = build.get_artifact("run_results.json")["results"]
    except (OSError, ValueError, KeyError):
        return failure
    found = faults(results, build_nodes())
    return dg.Failure("\n    ".join(found)) if found else failure


def _counted(event: Any, connection: duckdb.DuckDBPyConnection) -> Any:
    """Add the row count of a table that was built.

    dagster-dbt's own ``fetch_row_counts`` opens the warehouse in this process and keeps
    it open, so that nobody else could.
    """
    if not isinstance(event, dg.Output) or "unique_id" not in event.metadata:
        return event
    node = build_nodes()[str(event.metadata["unique_id"].value)]
    if node["config"].get("materialized") == "view":
        return event
    relation = f"{quoted(node['schema'])}.{quoted(node['alias'])}"
    row = connection.execute(f"select count(*) from {relation}").fetchone()
    return event.with_metadata(
        {**event.metadata, "dagster/row_count": row[0] if row else 0}
    )


@cache
def build_nodes() -> dict[str, Any]:
    """The models and seeds of the manifest, by their unique id."""
    nodes: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"]
    return nodes


def part(name: str, select: str) -> dg.AssetsDefinition:
    """Build the assets of one selection of the project, in one dbt call."""

    @dbt_assets(
        manifest=MANIFEST,
        project=DBT,
        select=select,
        name=name,
        dagster_dbt_translator=TRANSLATOR,
    )
    def models(
        context: dg.AssetExecutionContext,
        dbt: DbtCliResource,
        warehouse: WarehouseResource,
    ) -> Iterator[Any]:
        yield from _build(context, dbt, warehouse)

    return models


@dg.definitions
def dbt_definitions() -> dg.Definitions:
    """The three parts and the resource that runs them."""
    return dg.Definitions(
        assets=[part(name, select) for name, select in PARTS.items()],
        resources={"dbt": RESOURCE},
    )
