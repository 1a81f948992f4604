"""The dbt project as assets, in the parts that identity and activation stand between.

Asset keys need no translation: dbt names an asset ``<schema>/<model>`` and a source
``<source>/<table>``, and our Python assets use the same names, so lineage joins.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)

from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.paths import DBT_PROJECT

HARMONISATION = "path:models/reference path:models/map path:models/dmo path:seeds"
CUSTOMER = "path:models/unified path:models/insights path:models/article"
MONITORING = "path:models/monitoring"


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
            RESOURCE.cli(["parse", "--quiet"], target_path=target).wait()
            os.utime(manifest)
    return manifest


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
        """Say the layer as a tag, so that a selection reads ``tag:cdp/layer=dmo``."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.merge_attributes(tags={"cdp/layer": spec.key.path[0]})


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
    # dbt is a child process, and finds the file through its profile.
    os.environ["CDP_WAREHOUSE"] = str(warehouse.paths.warehouse)
    variables = json.dumps({"as_of": run.as_of.isoformat(sep=" ")})
    with warehouse.opener().locked(f"dbt build of {context.op.name}"):
        # Unit tests judge the SQL, not the data: they run with `make test`.
        only = ["--exclude-resource-type", "unit_test"]
        build = dbt.cli(["build", *only, "--vars", variables], context=context)
        yield from build.stream().fetch_row_counts()


@dbt_assets(
    manifest=MANIFEST,
    project=DBT,
    select=HARMONISATION,
    name="harmonisation",
    dagster_dbt_translator=TRANSLATOR,
)
def harmonisation(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: WarehouseResource,
) -> Iterator[Any]:
    """DLO to DMO: one map model per pair, and the canonical model they unite in."""
    yield from _build(context, dbt, warehouse)


@dbt_assets(
    manifest=MANIFEST,
    project=DBT,
    select=CUSTOMER,
    name="customer",
    dagster_dbt_translator=TRANSLATOR,
)
def customer(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: WarehouseResource,
) -> Iterator[Any]:
    """Unified profiles, and the insights calculated over them."""
    yield from _build(context, dbt, warehouse)


@dbt_assets(
    manifest=MANIFEST,
    project=DBT,
    select=MONITORING,
    name="monitoring",
    dagster_dbt_translator=TRANSLATOR,
)
def monitoring(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: WarehouseResource,
) -> Iterator[Any]:
    """What happened, as tables: loads, identity runs, segments, deliveries."""
    yield from _build(context, dbt, warehouse)


@dg.definitions
def dbt_definitions() -> dg.Definitions:
    """The three parts and the resource that runs them."""
    return dg.Definitions(
        assets=[harmonisation, customer, monitoring],
        resources={"dbt": RESOURCE},
    )
