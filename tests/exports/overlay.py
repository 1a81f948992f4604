"""Real exports through the real project: examples to copy, kept out of the main graph.

Beside this module stands one folder per system, with what a user would add for it:
``streams/*.yaml`` belong in ``cdp_assets/streams``, ``map/*.sql`` in
``dbt_project/models/map/<system>`` and ``macros/*.sql`` in ``dbt_project/macros``.
Here they are put on a copy of the dbt project, in which every model object is the union
of the system's own mappings, under the contracts and tests of the real one.
"""

import datetime as dt
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.streams.dlo import ensure_tables
from cdp_assets.streams.landing import land
from cdp_assets.streams.ledger import LoadResult
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.reference import refresh_phones
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse

EXPORTS = Path(__file__).parent
STARTED_AT = dt.datetime(2026, 11, 1, 12)
SHARED = "finance_exchange_rate"
Content = Path | bytes


@dataclass
class Export:
    """One system's export, loaded and harmonised."""

    paths: Paths
    loads: dict[str, LoadResult]
    warnings: list[str]
    """Data tests of the model objects that found rows."""
    seconds: dict[str, float]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds in the warehouse."""
        with duckdb.connect(str(self.paths.warehouse), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def one(self, query: str) -> Any:
        """The one value a query finds."""
        ((value,),) = self.ask(query)
        return value


def specs_of(system: str) -> dict[str, StreamSpec]:
    """The streams of a system, ours or one of the project's, and the exchange rates."""
    shipped = load_streams()
    if (EXPORTS / system).is_dir():
        streams = load_streams(EXPORTS / system / "streams")
    else:
        streams = {n: s for n, s in shipped.items() if s.source_system == system}
    return {**streams, SHARED: shipped[SHARED]}


def harmonise(
    system: str, root: Path, files: Mapping[str, Mapping[str, Content]]
) -> Export:
    """Land and load the files of each stream, and build the model objects from them."""
    paths = Paths(root / "data")
    paths.root.mkdir()
    specs = specs_of(system)
    began = time.monotonic()
    with Warehouse(paths, wait_seconds=10).writing("a test") as connection:
        ensure_tables(connection, specs.values())
        for stream, contents in files.items():
            for name, content in contents.items():
                land(paths, stream, name, content)
        loads = {
            name: load_waiting(connection, paths, spec, started_at=STARTED_AT)
            for name, spec in specs.items()
        }
        refresh_phones(connection, specs.values())
    loaded = time.monotonic()
    warnings = build(overlay(system, root / "dbt", specs), paths)
    seconds = {"load": loaded - began, "build": time.monotonic() - loaded}
    export = Export(paths, loads, warnings, seconds)
    assert_rows_are_conserved(export)
    return export


def overlay(system: str, project: Path, specs: Mapping[str, StreamSpec]) -> Path:
    """A dbt project of our seeds, macros and model objects over a system's mappings."""
    for part in ("macros", "seeds", "models/reference", "models/dmo"):
        shutil.copytree(DBT_PROJECT / part, project / part)
    for file in ("dbt_project.yml", "profiles.yml", "models/groups.yml"):
        shutil.copy(DBT_PROJECT / file, project / file)
    for part in ("macros", "models"):
        if (EXPORTS / system / part).is_dir():
            shutil.copytree(EXPORTS / system / part, project / part / system)
    mappings = project / "models" / "map" / system
    mappings.mkdir(parents=True)
    own = EXPORTS / system / "map"
    # Streams that say what a connector calls their fields need no mapping of their own.
    shipped = {DBT_PROJECT / "models/map" / s.source_system for s in specs.values()}
    for folder in [own] if own.is_dir() else shipped:
        for mapping in folder.glob("*.sql"):
            shutil.copy(mapping, mappings)
    tables = [{"name": name} for name in specs]
    sources = {"sources": [{"name": "dlo", "schema": "dlo", "tables": tables}]}
    (mappings / "_dlo.yml").write_text(yaml.safe_dump(sources))
    objects = project / "models" / "dmo"
    for model in objects.glob("*.sql"):
        if "union_of" in model.read_text():
            found = sorted(path.stem for path in mappings.glob(f"*__{model.stem}.sql"))
            model.write_text(_union(found) if found else _nothing(model))
    for yml in objects.glob("*.yml"):
        declared = yaml.safe_load(yml.read_text())
        # They bring rows of the main project's mappings.
        declared.pop("unit_tests", None)
        yml.write_text(yaml.safe_dump(declared, sort_keys=False))
    return project


def build(project: Path, paths: Paths) -> list[str]:
    """Build everything and run its data tests; fails where one does.

    Returns:
        The tests that warned.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDP_WAREHOUSE", str(paths.warehouse))
        outcome = dbtRunner().invoke(
            [
                *("build", "--quiet", "--exclude-resource-type", "unit_test"),
                *("--project-dir", str(project), "--profiles-dir", str(project)),
                *("--target", "warehouse", "--target-path", str(project / "target")),
                *("--log-level-file", "none"),
            ]
        )
    # dbt would keep the file open for writing, so that nobody else could read it.
    DuckDBConnectionManager.close_all_connections()
    results = list(outcome.result or [])
    assert outcome.success, outcome.exception or [
        (result.node.name, result.message)
        for result in results
        if str(result.status) in ("error", "fail")
    ]
    return [result.node.name for result in results if str(result.status) == "warn"]


def assert_rows_are_conserved(export: Export) -> None:
    """Every row of every file is answered for once."""
    for name, load in export.loads.items():
        rows = export.one(
            "select coalesce(sum(rows), 0) from ops.landed_file "
            f"where stream = '{name}'"
        )
        answered = (
            load.inserted
            + load.updated
            + load.deleted
            + load.unchanged
            + load.superseded
            + load.quarantined
        )
        assert answered == rows, name
        # A record that is deleted when it first comes is kept, as deleted.
        kept = export.one(f"select count(*) from dlo.{name}")
        assert kept == load.inserted + load.deleted, name


def _union(mappings: list[str]) -> str:
    names = "".join(f"    '{name}',\n" for name in mappings)
    return f"{{{{ union_of([\n{names}]) }}}}\n"


def _nothing(model: Path) -> str:
    declared = yaml.safe_load(model.with_suffix(".yml").read_text())
    columns = ",\n    ".join(
        f"cast(null as {column['data_type']}) as {column['name']}"
        for column in declared["models"][0]["columns"]
    )
    return f"select\n    {columns}\nwhere false\n"
