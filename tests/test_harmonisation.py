"""The map and dmo models build where nothing was loaded, and pass their unit tests.

A warehouse without rows is what every installation starts from, and all the unit tests
need: they bring their own rows and only the tables' columns have to be there.
"""

from pathlib import Path

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import Warehouse

SELECTED = ("path:seeds", "path:models/reference", "path:models/map", "path:models/dmo")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with every stream's table empty, after one ``dbt build``."""
    folder = tmp_path_factory.mktemp("harmonisation")
    paths = Paths(folder)
    with Warehouse(paths, wait_seconds=10).writing("test") as connection:
        for spec in load_streams().values():
            ensure_table(connection, spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDP_WAREHOUSE", str(paths.warehouse))
        outcome = dbtRunner().invoke(
            [
                "--quiet",
                "build",
                *("--select", *SELECTED),
                *("--project-dir", str(DBT_PROJECT)),
                *("--profiles-dir", str(DBT_PROJECT)),
                *("--target", "warehouse"),
                *("--target-path", str(folder / "target")),
                *("--log-level-file", "none"),
            ]
        )
    failed = [
        f"{result.node.name}: {result.message}"
        for result in (outcome.result or [])
        if str(result.status) in ("error", "fail", "warn")
    ]
    assert failed == [], outcome.exception
    assert outcome.success, outcome.exception
    # In process, dbt keeps the file open until it is told.
    DuckDBConnectionManager.close_all_connections()
    return paths.warehouse


@pytest.mark.slow
def test_every_unit_test_passes_and_nothing_yields_nothing(built: Path) -> None:
    """A model that fails without rows would fail on the day of installation."""
    with duckdb.connect(str(built), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'dmo'"
        ).fetchall()
        assert len(tables) >= 17
        for (table,) in tables:
            rows = connection.execute(f'select count(*) from dmo."{table}"').fetchone()
            assert rows == (0,), table


@pytest.mark.slow
def test_descriptions_reach_the_tables(built: Path) -> None:
    """Analysts read the catalogue of the warehouse, not our YAML files."""
    with duckdb.connect(str(built), read_only=True) as connection:
        bare = connection.execute(
            """
            select schema_name || '.' || table_name || '.' || column_name
            from duckdb_columns()
            where schema_name = 'dmo' and comment is null
            """
        ).fetchall()
    assert bare == []
