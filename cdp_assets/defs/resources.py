"""The connections that every asset shares, and where a deployment finds them."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from cdp_assets.defs.launch import announce
from cdp_assets.paths import Paths
from cdp_assets.runs import Run, join_run, parse_instant
from cdp_assets.warehouse import Warehouse

AS_OF_TAG = "cdp/as_of"


class WarehouseResource(DuckDBResource):
    """The DuckDB warehouse, opened under the lock that admits one writer.

    ``DuckDBResource`` opens every connection for writing and leaves it open when the
    body raises; both would block the next run, so opening is ours and the rest is its.
    """

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Every run uses the warehouse, so every run says here that it lives."""
        if context.instance is not None and context.run is not None:
            announce(context.instance, self.paths, context.run)

    @property
    def paths(self) -> Paths:
        """The runtime folder that the warehouse lies in."""
        return Paths.from_environment()

    def opener(self) -> Warehouse:
        """The plain object that stage packages work with."""
        return Warehouse(self.paths, say=dg.get_dagster_logger().info)

    @contextmanager
    def get_connection(
        self, purpose: str = "an asset"
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing; closed, and the lock free, however the block ends."""
        with self.opener().writing(purpose) as connection:
            yield connection

    @contextmanager
    def reading(self, purpose: str = "a check") -> Iterator[duckdb.DuckDBPyConnection]:
        """Open read-only."""
        with self.opener().reading(purpose) as connection:
            yield connection

    def run(
        self, connection: duckdb.DuckDBPyConnection, dagster_run: dg.DagsterRun
    ) -> Run:
        """The number and the instant that all stages of this run share."""
        tag = dagster_run.tags.get(AS_OF_TAG)
        as_of: dt.datetime | None = parse_instant(tag) if tag else None
        return join_run(connection, self.paths, dagster_run.run_id, as_of)


@dg.definitions
def resources() -> dg.Definitions:
    """The warehouse; dbt's own resource stands in dbt.py beside its project."""
    paths = Paths.from_environment()
    return dg.Definitions(
        resources={"warehouse": WarehouseResource(database=str(paths.warehouse))}
    )
