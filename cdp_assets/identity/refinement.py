"""Taking apart what a chain of links joined and direct evidence contradicts.

A subscriber known by an inbox alone links to both spouses who use it; the spouses'
records contradict each other. Every pair within such a group is compared, and the group
is put together again without the contradiction (``partition``). The outcome depends on
the group's own records, and what was decided of them, and on nothing else.
"""

import itertools
from collections.abc import Iterator

import duckdb

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.evidence import add_vetoes, stage_links
from cdp_assets.identity.group_facts import (
    stage_decided_facts,
    stage_group_facts,
    stage_group_pairs,
)
from cdp_assets.identity.partition import Pair, partition
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.scoring import Scorer


def stage_people(
    connection: duckdb.DuckDBPyConnection, rules: ObjectRules, scorer: Scorer | None
) -> int:
    """Build ``staged_component``: the group each linked record ends up in.

    Records without a link are absent, as from ``staged_group``, the groups before any
    was taken apart. Pairs whose link was cut get a veto
    ``refined_apart``, so that the evidence still adds up to the people.

    Returns:
        How many groups held a contradiction and were taken apart.
    """
    stage_links(connection, rules)
    stage_components(connection, "link_edge", "staged_component")
    _stage_members(connection)
    connection.execute(
        "create or replace temp table staged_group as from staged_component"
    )
    if scorer is None:
        stage_decided_facts(connection)
    else:
        stage_group_pairs(connection, rules.refinement)
        stage_group_facts(connection, rules, scorer)
    refinement = rules.refinement
    groups = 0
    parts: list[tuple[str, str]] = []
    for pairs in _contradicted_groups(connection):
        found = partition(
            pairs,
            refinement.join_weight,
            refinement.unseen_weight,
            refinement.ambiguous_within,
        )
        parts.extend(found.items())
        groups += 1
    if parts:
        _cut(connection, parts)
        stage_links(connection, rules)
        stage_components(connection, "link_edge", "staged_component")
    return groups


def _stage_members(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        create or replace temp table group_member as
        select component, node_id, count(*) over (partition by component) as size
        from staged_component
        """
    )


def _contradicted_groups(
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[list[Pair]]:
    """The pairs of one contradicted group after the other."""
    rows = connection.execute(
        """
        select fact.component, l.record, r.record, weight, linked, vetoed, same
        from group_fact as fact
        semi join group_contradicted using (component)
        inner join staged_matchable as l on fact.node_l = l.node_id
        inner join staged_matchable as r on fact.node_r = r.node_id
        order by fact.component
        """
    ).fetchall()
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        yield [Pair(*row[1:]) for row in group]


def _cut(connection: duckdb.DuckDBPyConnection, parts: list[tuple[str, str]]) -> None:
    """Veto the links between different parts of one group."""
    import pyarrow as pa

    columns = list(zip(*parts, strict=True))
    connection.register(
        "part_rows", pa.table({"record": columns[0], "part": columns[1]})
    )
    connection.execute(
        """
        create or replace temp table group_part as
        select node_id, part from part_rows
        inner join staged_matchable using (record)
        """
    )
    connection.unregister("part_rows")
    connection.execute(
        """
        create or replace temp table group_cut as
        select node_l, node_r, 'refined_apart' as fact
        from link_edge
        inner join group_part as l on link_edge.node_l = l.node_id
        inner join group_part as r on link_edge.node_r = r.node_id
        where l.part <> r.part
        """
    )
    add_vetoes(connection, "group_cut")
