"""What became of the rulesets, in the warehouse: their links, and how they compare."""

import datetime as dt
from collections.abc import Collection, Sequence

import duckdb

from cdp_assets.paths import Paths
from cdp_assets.rulesets.resolving import beside
from cdp_assets.rulesets.spec import PUBLISHED
from cdp_assets.rulesets.standing import OBJECTS, Standing
from cdp_assets.warehouse import transaction, utc_now


def keep(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    declared: Collection[str],
    standings: Sequence[Standing],
    as_of: dt.datetime,
) -> int:
    """Take over links and standings, of each ruleset all or nothing.

    Links are written where they differ. What is declared no more leaves both tables.

    Args:
        connection: The warehouse, to write, outside a transaction.
        paths: The runtime folder.
        declared: All rulesets beside the published one.
        standings: Of those that were resolved now, and of the published one.
        as_of: The instant that they were resolved at.

    Returns:
        How many rows of links were written or removed.
    """
    moved = 0
    names = sorted({each.ruleset for each in standings} & set(declared))
    for name in names:
        file = str(beside(paths, name).warehouse).replace("'", "''")
        connection.execute(f"attach '{file}' as beside (read_only)")
        try:
            with transaction(connection):
                moved += _keep_links(connection, name)
        finally:
            connection.execute("detach beside")
    with transaction(connection):
        for table in ("ruleset_link", "ruleset_standing"):
            connection.execute(
                f"""
                delete from identity.{table}
                where not list_contains($declared::varchar[], ruleset)
                """,
                {"declared": [*declared, PUBLISHED]},
            )
        for standing in standings:
            _keep_standing(connection, standing, as_of)
    return moved


def held_rulesets(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Rulesets whose last result a gate held, and which gates."""
    return connection.execute(
        """
        select ruleset, string_agg(distinct held_by, '; ' order by held_by)
        from identity.ruleset_standing
        where held_by is not null group by ruleset order by ruleset
        """
    ).fetchall()


def _keep_links(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """Write the links of one ruleset that differ.

    In one insert: of two into a table within a transaction DuckDB shows none of the
    second's rows before it is opened again.
    """
    now = " union all ".join(
        f"select '{kind}' as object, record, unified_{kind}_id as unified_id "
        f"from beside.identity.unified_link_{kind}"
        for kind in OBJECTS
    )
    (gone,) = connection.execute(
        f"""
        delete from identity.ruleset_link
        where ruleset = $ruleset and (object, record, unified_id) not in ({now})
        """,
        {"ruleset": name},
    ).fetchall()[0]
    (came,) = connection.execute(
        f"""
        insert into identity.ruleset_link
        select $ruleset, object, record, unified_id from ({now})
        where (object, record) not in (
            select (object, record) from identity.ruleset_link
            where ruleset = $ruleset
        ) order by object, record
        """,
        {"ruleset": name},
    ).fetchall()[0]
    return int(gone) + int(came)


def _keep_standing(
    connection: duckdb.DuckDBPyConnection, standing: Standing, as_of: dt.datetime
) -> None:
    quality = standing.quality
    connection.execute(
        """
        insert or replace into identity.ruleset_standing values
            (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
            standing.ruleset,
            standing.object,
            standing.ruleset_version,
            standing.model_version,
            utc_now(),
            as_of,
            standing.held_by,
            standing.records,
            standing.people,
            standing.largest,
            standing.unmatched,
            standing.merges,
            standing.splits,
            *(
                (quality.precision, quality.recall, quality.f1)
                if quality
                else (None, None, None)
            ),
        ],
    )
