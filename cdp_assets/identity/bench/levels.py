"""Pairs of one file by their pattern of levels: of candidates, and of random pairs."""

import duckdb
import numpy as np

from cdp_assets.identity.bench.estimation import Patterns
from cdp_assets.identity.bench.texts import Levels
from cdp_assets.identity.vetoes import sided

# As many random pairs are counted at most; more would change no third digit.
_RANDOM = 600_000


def _level(levels: Levels) -> str:
    """SQL for a pair's level, numbered as in evidence: 0 the last resort."""
    numbers = [-1, *range(len(levels) - 2, -1, -1)]
    cases = " ".join(
        f"when {sided(condition)} then {number}"
        for (_, condition), number in zip(levels, numbers, strict=True)
        if condition != "else"
    )
    return f"case {cases} else 0 end"


def stage_levels(
    connection: duckdb.DuckDBPyConnection,
    comparisons: dict[str, Levels],
    pairs: str,
    into: str,
) -> None:
    """Build a table of pairs with their level per comparison, ``c0`` and on."""
    columns = ", ".join(
        f"{_level(levels)} as c{place}"
        for place, levels in enumerate(comparisons.values())
    )
    connection.execute(
        f"""
        create or replace temp table {into} as
        select pair.node_l, pair.node_r, {columns}
        from ({pairs}) as pair
        inner join staged_matchable as l on pair.node_l = l.node_id
        inner join staged_matchable as r on pair.node_r = r.node_id
        """
    )


def count_patterns(
    connection: duckdb.DuckDBPyConnection, table: str, total: float
) -> Patterns:
    """Count the pairs of a table by pattern, scaled to ``total`` of them."""
    found = connection.execute(
        f"""
        select * exclude (node_l, node_r), count(*)::double as pairs
        from {table} group by all order by all
        """
    ).fetchnumpy()
    counts = np.asarray(found.pop("pairs"), dtype=np.float64)
    levels = np.stack([np.asarray(column, dtype=np.int64) for column in found.values()])
    return Patterns(levels.T, counts * (total / max(counts.sum(), 1.0)))


def random_patterns(
    connection: duckdb.DuckDBPyConnection,
    comparisons: dict[str, Levels],
    records: int,
) -> Patterns:
    """All pairs of a small file; of a large one each record with some of the others."""
    pairs = records * (records - 1) / 2
    if pairs <= _RANDOM:
        drawn = """
            select l.node_id as node_l, r.node_id as node_r
            from staged_matchable as l
            inner join staged_matchable as r on l.node_id < r.node_id
        """
    else:
        _draw(connection, records)
        drawn = "select node_l, node_r from random_pair"
    stage_levels(connection, comparisons, drawn, "random_level")
    return count_patterns(connection, "random_level", pairs)


def _draw(connection: duckdb.DuckDBPyConnection, records: int) -> None:
    """Build ``random_pair``: each record beside as many others as make enough pairs.

    In tables of their own: in one statement DuckDB compares all records with all.
    """
    connection.execute(
        """
        create or replace temp table numbered as
        select node_id, (row_number() over (order by hash(record), record)) - 1 as place
        from staged_matchable
        """
    )
    connection.execute(
        """
        create or replace temp table random_place as
        select numbered.node_id as node_l,
            cast((place + 1 + hash(i) % ($records - 1)) % $records as bigint) as place
        from numbered cross join range($times) as step(i)
        """,
        {"records": records, "times": max(1, _RANDOM // records)},
    )
    connection.execute(
        """
        create or replace temp table random_pair as
        select node_l, numbered.node_id as node_r
        from random_place inner join numbered using (place)
        """
    )
