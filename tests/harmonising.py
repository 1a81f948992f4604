"""The map and dmo models of the real project, built in this process, parsed once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.paths import DBT_PROJECT, Paths

HARMONISATION = (
    "path:seeds",
    "path:models/reference",
    "path:models/map",
    "path:models/dmo",
)


class Dbt:
    """dbt over one warehouse after another; they share a parsed project."""

    def __init__(
        self,
        target: Path,
        select: Sequence[str] = HARMONISATION,
        project: Path = DBT_PROJECT,
    ) -> None:
        self._select = select
        self._arguments = [
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target", "warehouse", "--target-path", str(target)),
            # dbt leaves its log file open, and warnings are errors here.
            *("--log-level-file", "none", "--quiet"),
        ]
        self._manifest: Any = None

    def build(self, paths: Paths, *arguments: str) -> None:
        """Seeds, views and tables, without their tests."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CDP_WAREHOUSE", str(paths.warehouse))
            self._manifest = self._manifest or self._invoke(["parse"])
            tests = ("--exclude-resource-type", "unit_test", "test")
            self._invoke(["build", "--select", *self._select, *tests, *arguments])

    def _invoke(self, command: list[str]) -> Any:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        outcome = dbtRunner(manifest=self._manifest).invoke(
            [*command, *self._arguments]
        )
        # dbt would keep the file open for writing, so that nobody else could read it.
        DuckDBConnectionManager.close_all_connections()
        assert outcome.success, outcome.exception or [
            (r.node.name, r.message) for r in outcome.result if r.status == "error"
        ]
        return outcome.result
