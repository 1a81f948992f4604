"""What every test shares: a runtime folder and a warehouse of its own.

And what the slow ones share: one run of the whole graph over a small sample.
"""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.cli.main import dbtRunner

from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.streams.landing import land
from cdp_assets.streams.ledger import LoadResult
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import Warehouse

STARTED_AT = dt.datetime(2026, 11, 1, 12)
# Public data, never part of the project: beside the checkout, or where this says.
TEST_DATA = Path(
    os.environ.get("CDP_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
)
# The macros of one text that fixture `apply` calls.
MACROS = (
    "normalise_email",
    "email_match_form",
    "clean_name",
    "clean_text",
    "clean_label",
    "clean_postal_code",
    "fold",
    "fold_words",
    "normalise_address_line",
    "normalise_city",
    "parse_sap_date",
    "parse_us_date",
    "parse_timestamp",
    "sap_customer_number",
    "website_domain",
)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of public test data; the test is skipped where it is not."""
    if not TEST_DATA.is_dir():
        pytest.skip(f"no public test data in {TEST_DATA}; CDP_TEST_DATA says where")
    return TEST_DATA


@pytest.fixture(scope="session")
def apply(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str, str | None], Any]]:
    """Calls one macro on one text, as dbt compiles it."""
    folder = tmp_path_factory.mktemp("dbt")
    calls = "\n;".join(f"select {{{{ {macro}('x') }}}}" for macro in MACROS)
    outcome = dbtRunner().invoke(
        [
            "--quiet",
            "compile",
            *("--inline", calls),
            *("--project-dir", str(DBT_PROJECT)),
            *("--profiles-dir", str(DBT_PROJECT)),
            *("--target", "lint"),
            *("--target-path", str(folder)),
            *("--log-level-file", "none"),
        ]
    )
    assert outcome.success, outcome.exception
    compiled = outcome.result.results[0].node.compiled_code.split("\n;")
    selects = dict(zip(MACROS, compiled, strict=True))
    connection = duckdb.connect()

    def call(macro: str, text: str | None) -> Any:
        query = f"{selects[macro]} from (select ?::varchar as x)"
        row = connection.execute(query, [text]).fetchone()
        assert row is not None
        return row[0]

    yield call
    connection.close()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A runtime folder that nothing else uses."""
    root = tmp_path / "data"
    root.mkdir()
    return Paths(root)


@pytest.fixture
def warehouse(paths: Paths) -> Warehouse:
    """The warehouse of that folder; a test that has to wait for it is wrong."""
    return Warehouse(paths, wait_seconds=10)


@dataclass
class Loading:
    """An open warehouse, and short words for landing, loading and looking."""

    paths: Paths
    connection: duckdb.DuckDBPyConnection

    def load(self, spec: StreamSpec, *contents: bytes, name: str = "") -> LoadResult:
        """Land each content as a file of the stream's format and load them at once."""
        name = name or f"file.{spec.connection.format}"
        for content in contents:
            land(self.paths, spec.name, name, content)
        return load_waiting(self.connection, self.paths, spec, started_at=STARTED_AT)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return self.connection.execute(query).fetchall()


@pytest.fixture
def loading(paths: Paths, warehouse: Warehouse) -> Iterator[Loading]:
    """A warehouse to load into."""
    with warehouse.writing("a test") as connection:
        yield Loading(paths, connection)


@pytest.fixture
def thing() -> Callable[..., StreamSpec]:
    """Declares a stream of things with a field of each type; changes by keyword."""
    return thing_spec


def thing_spec(format: str = "ndjson", **changes: Any) -> StreamSpec:
    connection = {"format": format} | changes.pop("connection", {})
    declared: dict[str, Any] = {
        "name": "thing",
        "source_system": "test",
        "source_object": "Thing",
        "description": "Things.",
        "connection": connection,
        "category": "profile",
        "primary_key": ["id"],
        "modified_at": "at",
        "deleted_flag": "gone",
        "refresh_mode": "upsert",
        "schedule": "0 * * * *",
        "retention_days": 30,
        "freshness_hours": 24,
        "expected_records_per_day": 1,
        "fields": {
            "id": {"type": "string", "required": True},
            "at": {"type": "timestamp", "required": True},
            "name": "string",
            "count": "integer",
            "amount": "number",
            "born": "date",
            "gone": "boolean",
            "more": "json",
        },
    }
    return StreamSpec.model_validate(declared | changes)


@pytest.fixture(scope="session")
def cdp() -> Callable[..., str]:
    """The command line over a runtime folder, in a process of its own."""
    return run_cdp


def run_cdp(root: Path, *arguments: str, check: bool = True) -> str:
    """Run the command line over ``root`` and return what it printed."""
    environment = {**os.environ, "CDP_DATA": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "cdp_assets.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A runtime folder of 300 people after ``cdp run --samples``, and what it printed.

    Made once in each of the groups "flow" and "upheaval"; tests that change the state
    work on a copy.
    """
    root = tmp_path_factory.mktemp("flow") / "data"
    run_cdp(root, "sample", "--people", "300", "--seed", "3")
    return root, run_cdp(root, "run", "--samples")
