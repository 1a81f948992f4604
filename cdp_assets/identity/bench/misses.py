"""Every pair of records that a bench got wrong, and why, as ``misses.csv``.

A pair is a false merge where one cluster holds two entities, and missed where one
entity is in two clusters. Names, dates and numbers stay in the file that was scored:
rows name records, levels and weights.
"""

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.identity.compared_records import stage_published
from cdp_assets.identity.in_short import why_apart, why_together
from cdp_assets.identity.judged_pairs import judge_pairs
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.scoring import open_scorer

_COLUMNS = (
    "kind", "source_l", "record_id_l", "source_r", "record_id_r", "entity_l",
    "entity_r", "weight", "compared", "why",
)  # fmt: skip

# Of each kind as many are told at most: a person of 10,000 records has 50 million pairs
# that nobody reads one by one.
_MOST = 200_000


@dataclass(frozen=True)
class Misses:
    """How many pairs are wrong, and how many of them were written."""

    false_merges: int
    missed: int
    unresolved: int
    """Missed pairs of which a record was never loaded; there is no why of them."""
    written: int


def write_misses(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    model: MatchModel | None,
    file: Path,
) -> Misses:
    """Write the wrong pairs of ``truth_cluster``, false merges first.

    Args:
        connection: The scratch warehouse, resolved and compared with the truth.
        object_name: Whose records.
        rules: The rules they were resolved by.
        model: The model they were weighed by.
        file: Where to; made anew.
    """
    counted = _stage_wrong(connection)
    stage_published(connection, object_name, None)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        written = 0
        for row in _rows(connection, object_name, rules, model):
            writer.writerow(row)
            written += 1
    return Misses(*counted, written)


def _stage_wrong(connection: duckdb.DuckDBPyConnection) -> tuple[int, int, int]:
    """Build ``wrong_pair``, and count its kinds."""
    connection.execute(
        """
        create or replace temp table wrong_record as
        select truth.entity, truth.person, cluster.source, cluster.record_id, node_id
        from truth_cluster as truth
        inner join cluster using (record)
        inner join identity.node using (record)
        """
    )
    connection.execute(
        f"""
        create or replace temp table wrong_pair as
        select 'false merge' as kind, l.node_id as node_l, r.node_id as node_r
        from wrong_record as l
        inner join wrong_record as r using (person)
        where l.node_id < r.node_id and l.entity <> r.entity
        order by all limit {_MOST};
        insert into wrong_pair
        select 'missed', l.node_id, r.node_id
        from wrong_record as l
        inner join wrong_record as r using (entity)
        where l.node_id < r.node_id and l.person <> r.person
        order by all limit {_MOST}
        """
    )
    false, missed, unresolved = connection.execute(
        """
        with cell as (
            select person, entity, count(*) as n, count(record) as loaded
            from truth_cluster group by all
        )
        select
            (select coalesce(sum(n * (n - 1) // 2), 0)
                from (select sum(n) as n from cell group by person))
            - (select coalesce(sum(n * (n - 1) // 2), 0) from cell),
            (select coalesce(sum(n * (n - 1) // 2), 0)
                from (select sum(n) as n from cell group by entity))
            - (select coalesce(sum(n * (n - 1) // 2), 0) from cell),
            (select coalesce(sum(n * (n - 1) // 2 - loaded * (loaded - 1) // 2), 0)
                from (select sum(n) as n, sum(loaded) as loaded
                    from cell group by entity))
        """
    ).fetchall()[0]
    return int(false), int(missed), int(unresolved)


def _rows(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    model: MatchModel | None,
) -> Iterator[list[str]]:
    names = _named(connection)
    for kind, tell in (("false merge", why_together), ("missed", why_apart)):
        connection.execute(
            """
            create or replace temp table asked_miss as
            select node_l, node_r from wrong_pair where kind = ?
            """,
            [kind],
        )
        with contextlib.ExitStack() as stack:
            scorer = (
                stack.enter_context(open_scorer(connection, model)) if model else None
            )
            for node_l, node_r, said in judge_pairs(
                connection, object_name, rules, scorer, "asked_miss"
            ):
                (source_l, key_l, entity_l), (source_r, key_r, entity_r) = (
                    names[node] for node in (node_l, node_r)
                )
                yield [
                    *(kind, source_l, key_l, source_r, key_r, entity_l, entity_r),
                    "" if said.weight is None else f"{said.weight:+.2f}",
                    "compared" if said.rules or said.keys else "not compared",
                    tell(said, model),
                ]


def _named(connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[str, str, str]]:
    """Source, key and entity of every record of a wrong pair."""
    return {
        node: (source, key, entity)
        for node, source, key, entity in connection.execute(
            """
            select node_id, source, record_id, entity from wrong_record
            where node_id in (
                select node_l from wrong_pair union select node_r from wrong_pair
            )
            """
        ).fetchall()
    }
