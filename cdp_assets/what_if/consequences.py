"""What follows from other people: profile fields, insights, segments, activations."""

import datetime as dt
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.planning import PlanResult, plan
from cdp_assets.activation.spec import load_activations
from cdp_assets.data_actions.planning import plan_action
from cdp_assets.data_actions.spec import load_data_actions
from cdp_assets.declarations import quoted
from cdp_assets.errors import OperatorError
from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.segments.membership import MembershipResult, update_membership
from cdp_assets.segments.spec import load_segments

_SELECT = ["path:models/unified", "path:models/insights"]
_PROFILE = "unified.unified_individual"
_KEY = "unified_individual_id"


class RehearsalError(OperatorError, RuntimeError):
    """The trial could not go on; the message says where to look."""


@dataclass(frozen=True)
class Consequences:
    """Counts of what would differ after the people do."""

    fields: dict[str, int]
    """Per field of the profile, of people with one id before and after."""
    insights: dict[str, int]
    """Per insight, the people and companies of whom it says another thing."""
    segments: dict[str, tuple[int, int, int]]
    """Per segment who would enter, leave, and be carried over a merge."""
    activations: dict[str, tuple[int, int, int]]
    """Per activation what would be added, updated, and removed or made another."""


def remember_profiles(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep the profile and the insights as they stand, in schema ``what_if``."""
    for schema, name in _tables(connection):
        connection.execute(
            f"create or replace table what_if.{quoted(name)} as "
            f"from {schema}.{quoted(name)}"
        )


def build_profiles(paths: Paths, as_of: dt.datetime) -> None:
    """Let dbt build profiles and insights in the copy.

    Raises:
        RehearsalError: dbt failed; quotes the end of what it said.
    """
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            *("--quiet", "--log-level-file", "none", "run"),
            *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            *("--target", "warehouse", "--target-path", str(paths.root / "target")),
            *("--select", *_SELECT),
        ],
        env={
            **os.environ,
            "CDP_WAREHOUSE": str(paths.warehouse),
            "CDP_AS_OF": as_of.isoformat(sep=" "),
        },
        cwd=paths.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise RehearsalError(f"dbt could not build the profiles of the trial:\n{said}")


def compare_profiles(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    *,
    run: int,
    as_of: dt.datetime,
) -> Consequences:
    """Compare what was remembered with what stands now, and act it out in the copy."""
    segments, planned = act_out(connection, paths, run=run, as_of=as_of)
    return Consequences(
        _fields(connection),
        {
            name: _differing(connection, schema, name)
            for schema, name in _tables(connection)
            if f"{schema}.{name}" != _PROFILE
        },
        {
            name: (each.entered, each.left, each.carried)
            for name, each in segments.items()
        },
        {
            name: (each.adds, each.updates, each.removes + each.aliases)
            for name, each in planned.items()
        },
    )


def act_out(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    *,
    run: int,
    as_of: dt.datetime,
) -> tuple[dict[str, MembershipResult], dict[str, PlanResult]]:
    """Evaluate segments and plan activations and data actions, as a run would.

    Returns:
        Per segment and per activation what came of it.
    """
    segments = {
        name: update_membership(connection, spec, run, as_of)
        for name, spec in load_segments().items()
    }
    outbox = Outbox(paths.outbox)
    planned = {
        name: plan(connection, spec, outbox, run, as_of)
        for name, spec in load_activations().items()
    }
    for action in load_data_actions().values():
        plan_action(connection, action, outbox, run, as_of)
    return segments, planned


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """The profile, and every insight that is there."""
    rows = connection.execute(
        """
        select schema_name, table_name from duckdb_tables()
        where database_name = current_database() and (
            schema_name = 'insights' or schema_name || '.' || table_name = ?
        )
        order by 1, 2
        """,
        [_PROFILE],
    ).fetchall()
    return [(schema, name) for schema, name in rows]


def _fields(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Per column in how many profiles of unchanged id it says something else."""
    schema, name = _PROFILE.split(".")
    columns = [
        column
        for (column,) in connection.execute(
            """
            select column_name from duckdb_columns()
            where database_name = current_database() and schema_name = ?
                and table_name = ? order by column_index
            """,
            [schema, name],
        ).fetchall()
        if column != _KEY
    ]
    counts = ", ".join(
        f"count(*) filter (old.{quoted(column)} is distinct from new.{quoted(column)})"
        for column in columns
    )
    row = connection.execute(
        f"select {counts} from what_if.{quoted(name)} as old "
        f"inner join {_PROFILE} as new using ({_KEY})"
    ).fetchall()[0]
    found = dict(zip(columns, row, strict=True))
    return {column: count for column, count in found.items() if count}


def _differing(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> int:
    """How many rows an insight has now that it had not before."""
    return int(
        connection.execute(
            f"select count(*) from (from {schema}.{quoted(name)} "
            f"except from what_if.{quoted(name)})"
        ).fetchall()[0][0]
    )
