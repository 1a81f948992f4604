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

from cdp_assets.declarations import nearest, quoted
from cdp_assets.identity.model import MatchModel, read_model
from cdp_assets.identity.outcome import ResolutionResult, next_run
from cdp_assets.identity.resolve import resolve
from cdp_assets.paths import Paths
from cdp_assets.rulesets.spec import DECLARATIONS, BesideRuleset
from cdp_assets.warehouse import NotLoadedError, Warehouse, transaction

Say = Callable[[str], None]

# How SQL of the other file calls the warehouse.
WAREHOUSE = "published"
FOLDER = "rulesets"


def beside(paths: Paths, name: str) -> Paths:
    """The folder of one ruleset."""
    return Paths(paths.root / FOLDER / name)


def known(paths: Paths, name: str) -> Paths:
    """The folder of a ruleset that was resolved before.

    Raises:
        NotLoadedError: There is none of this name; says which there are.
    """
    names = sorted(each.name for each in (paths.root / FOLDER).glob("*"))
    if name not in names:
        raise NotLoadedError(
            f"ruleset {name!r} was not resolved yet{nearest(name, names)}: "
            "`cdp identity rulesets` does"
        )
    return beside(paths, name)


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
    _take_over_judgements(connection)
    return resolve(
        connection,
        run=next_run(connection),
        as_of=as_of,
        say=say,
        ruleset=ruleset,
        models=_models_beside(ruleset),
    )


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


def _take_over_judgements(connection: duckdb.DuckDBPyConnection) -> None:
    """What people decided holds by every ruleset, and their labels judge it.

    Since which run a decision holds each ruleset notes itself. One of another content
    is another decision, whatever its number: after a restore, numbers are given again.
    It is taken out in a transaction of its own, because DuckDB lets no key go and come
    in one.
    """
    theirs = f"{WAREHOUSE}.identity.decision"
    connection.execute(
        f"""
        delete from identity.decision as ours where not exists (
            from {theirs} as theirs where {_same_decision("theirs", "ours")}
        )
        """
    )
    with transaction(connection):
        connection.execute(
            f"""
            update identity.decision as ours
            set undone_at = theirs.undone_at, undone_by = theirs.undone_by,
                undone_reason = theirs.undone_reason
            from {theirs} as theirs
            where ours.decision = theirs.decision
                and ours.undone_at is distinct from theirs.undone_at
            """
        )
        connection.execute(
            f"""
            insert into identity.decision by name
            select * replace (null::bigint as applied_run, null::bigint as lifted_run)
            from {theirs}
            where decision not in (select decision from identity.decision)
            """
        )
    connection.execute(
        f"""
        delete from identity.labelled_pair as ours where not exists (
            from {WAREHOUSE}.identity.labelled_pair as theirs where ours = theirs
        )
        """
    )
    connection.execute(
        f"""
        insert into identity.labelled_pair by name
        from {WAREHOUSE}.identity.labelled_pair
        except from identity.labelled_pair
        """
    )


def _same_decision(one: str, other: str) -> str:
    columns = ("decision", "kind", "record_l", "record_r", "decided_at")
    return " and ".join(f"{one}.{name} = {other}.{name}" for name in columns)


def _models_beside(ruleset: BesideRuleset) -> dict[str, MatchModel]:
    """Models that lie beside the declaration; others are found by resolution itself."""
    found = {}
    for name in ("individual", "account"):
        use = getattr(ruleset, name).model
        if use and use.file and (DECLARATIONS / use.file).exists():
            found[name] = read_model(DECLARATIONS / use.file)
    return found
