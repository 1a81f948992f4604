"""Resolving by another ruleset, in a file of its own beside the warehouse.

rulesets/<name>/warehouse.duckdb   nodes, evidence, links and ids of that ruleset

The same path as for the published people: incremental, with stable ids, gates and
decisions. What the canonical model says is read from the warehouse, which is attached
for reading and never written meanwhile.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.identity.outcome import ResolutionResult
from cdp_assets.identity.resolve import resolve
from cdp_assets.paths import Paths
from cdp_assets.rulesets.spec import BesideRuleset
from cdp_assets.warehouse import Warehouse, transaction

Say = Callable[[str], None]

# How SQL of the other file calls the warehouse.
WAREHOUSE = "published"
FOLDER = "rulesets"


def beside(paths: Paths, name: str) -> Paths:
    """The folder of one ruleset."""
    return Paths(paths.root / FOLDER / name)


@contextmanager
def opened(
    paths: Paths, name: str, say: Say = print
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The file of one ruleset, to write, with the warehouse attached to read.

    Whoever wants to write the warehouse waits meanwhile, and is told for whom.

    Raises:
        NotLoadedError: Nothing was loaded yet.
    """
    published = Warehouse(paths, say=say)
    published.must_exist()
    own = beside(paths, name)
    own.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    purpose = f"ruleset {name}"
    with (
        published.locked(purpose, exclusive=False),
        Warehouse(own, say=say).writing(purpose) as connection,
    ):
        file = str(paths.warehouse).replace("'", "''")
        connection.execute(f"attach '{file}' as {WAREHOUSE} (read_only)")
        yield connection


def resolve_beside(
    connection: duckdb.DuckDBPyConnection,
    ruleset: BesideRuleset,
    *,
    as_of: dt.datetime,
    say: Say = print,
) -> ResolutionResult:
    """Resolve what changed, or everybody, by this ruleset.

    A result that a gate fails is held, as a published one would be: the last good one
    of this ruleset stays.

    Args:
        connection: From ``opened``.
        ruleset: The rules.
        as_of: The instant taken as now (UTC).
        say: Told one line per step.
    """
    _look_at_warehouse(connection)
    with transaction(connection):
        _take_over_decisions(connection)
    (run,) = connection.execute(
        "select coalesce(max(run), 0) + 1 from identity.run"
    ).fetchall()[0]
    return resolve(connection, run=run, as_of=as_of, say=say, ruleset=ruleset)


def forget_undeclared(paths: Paths, declared: Collection[str]) -> list[str]:
    """Remove the files of rulesets that are declared no more; returns their names."""
    gone = [
        folder
        for folder in sorted((paths.root / FOLDER).glob("*"))
        if folder.is_dir() and folder.name not in declared
    ]
    for folder in gone:
        _remove(folder)
    return [folder.name for folder in gone]


def _remove(folder: Path) -> None:
    with Warehouse(Paths(folder)).locked("removing a ruleset's file"):
        shutil.rmtree(folder)


def _look_at_warehouse(connection: duckdb.DuckDBPyConnection) -> None:
    """Make a view of every canonical table, and of the nicknames.

    Of tables alone: a view of dbt's names the database that it was made in.
    """
    tables = connection.execute(
        """
        select table_schema, table_name from information_schema.tables
        where table_catalog = $warehouse and table_type = 'BASE TABLE' and (
            table_schema = 'dmo'
            or (table_schema = 'reference' and table_name = 'nickname')
        ) order by all
        """,
        {"warehouse": WAREHOUSE},
    ).fetchall()
    for schema, table in tables:
        name = f"{quoted(schema)}.{quoted(table)}"
        connection.execute(f"create schema if not exists {quoted(schema)}")
        connection.execute(f"create or replace view {name} as from {WAREHOUSE}.{name}")


def _take_over_decisions(connection: duckdb.DuckDBPyConnection) -> None:
    """What people decided holds by every ruleset; each notes since which run of its."""
    connection.execute(
        f"""
        delete from identity.decision where decision not in (
            select decision from {WAREHOUSE}.identity.decision
        );
        update identity.decision as decision
        set undone_at = theirs.undone_at, undone_by = theirs.undone_by,
            undone_reason = theirs.undone_reason
        from {WAREHOUSE}.identity.decision as theirs
        where decision.decision = theirs.decision
            and decision.undone_at is distinct from theirs.undone_at;
        insert into identity.decision by name
        select * replace (null::bigint as applied_run, null::bigint as lifted_run)
        from {WAREHOUSE}.identity.decision
        where decision not in (select decision from identity.decision)
        """
    )
