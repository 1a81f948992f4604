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
from cdp_assets.identity.partition import Pair, partition
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.scoring import Scorer
from cdp_assets.identity.sections import Refinement
from cdp_assets.identity.vetoes import stage_vetoes


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
        _stage_decided_facts(connection)
    else:
        _stage_group_pairs(connection, rules.refinement)
        _stage_group_facts(connection, rules, scorer)
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


def _stage_decided_facts(connection: duckdb.DuckDBPyConnection) -> None:
    """Without a model only decisions contradict: the links of groups that hold one."""
    connection.execute(
        """
        create or replace temp table group_contradicted as
        select distinct l.component
        from staged_decided as decided
        inner join group_member as l on decided.node_l = l.node_id
        inner join group_member as r
            on decided.node_r = r.node_id and l.component = r.component
        where decided.rule = 'different';
        create or replace temp table group_fact as
        select
            l.component, pair.node_l, pair.node_r,
            max(pair.weight) as weight, bool_or(pair.linked) as linked,
            bool_or(pair.rule = 'different') as vetoed,
            bool_or(pair.rule = 'same') as same
        from (
            select node_l, node_r, '' as rule, 1::double as weight, true as linked
            from link_edge
            union all
            select node_l, node_r, rule, 0.0, false from staged_decided
        ) as pair
        inner join group_member as l on pair.node_l = l.node_id
        inner join group_member as r
            on pair.node_r = r.node_id and l.component = r.component
        group by all;
        """
    )


def _stage_group_pairs(
    connection: duckdb.DuckDBPyConnection, refinement: Refinement
) -> None:
    """All pairs of every group; of a group too large, those scored, decided or near.

    Near are the two ends of two links. Strangers who hang together by bare inboxes
    between them are brought together by nothing else: a chain of 1,000 such records was
    one person of 512. Whoever has more links than a group is compared for is no bridge.
    """
    connection.execute(
        """
        create or replace temp table group_near as
        with link as (
            select node_l as middle, node_r as node_id from link_edge
            union all
            select node_r, node_l from link_edge
        ),
        bridge as (
            select link.middle, link.node_id from link
            semi join (from group_member where size > $largest) as large
                on link.middle = large.node_id
            qualify count(*) over (partition by link.middle) <= $largest
        )
        select distinct l.node_id as node_l, r.node_id as node_r
        from bridge as l
        inner join bridge as r on l.middle = r.middle and l.node_id < r.node_id
        """,
        {"largest": refinement.largest_group},
    )
    connection.execute(
        """
        create or replace temp table group_pair as
        select l.component, l.node_id as node_l, r.node_id as node_r
        from group_member as l
        inner join group_member as r
            on l.component = r.component and l.node_id < r.node_id
        where l.size between 3 and $largest
        union all
        select l.component, score.node_l, score.node_r
        from (
            select node_l, node_r from staged_score
            union
            select node_l, node_r from staged_decided
            union
            select node_l, node_r from group_near
        ) as score
        inner join group_member as l on score.node_l = l.node_id
        inner join group_member as r
            on score.node_r = r.node_id and l.component = r.component
        where l.size > $largest
        """,
        {"largest": refinement.largest_group},
    )


def _stage_group_facts(
    connection: duckdb.DuckDBPyConnection, rules: ObjectRules, scorer: Scorer
) -> None:
    """What each pair within a group says: its weight, its link, its contradictions.

    The prior is left out unless the ruleset counts it: it says how rarely two records
    of the whole data belong together, and these two are already in one group.
    """
    connection.execute(
        """
        create or replace temp table group_unscored as
        select node_l, node_r from group_pair
        anti join staged_score using (node_l, node_r)
        """
    )
    scorer.score("group_unscored", "group_score")
    connection.execute("insert into staged_score select * from group_score")
    stage_vetoes(connection, rules.cannot_link, "group_pair", "group_veto")
    connection.execute(
        """
        create or replace temp table group_fact as
        select
            pair.component, pair.node_l, pair.node_r,
            score.match_weight - $prior as weight,
            link.node_l is not null as linked,
            decided.rule is distinct from 'same'
                and (veto.node_l is not null or decided.rule is not null) as vetoed,
            decided.rule is not distinct from 'same' as same
        from group_pair as pair
        inner join staged_score as score using (node_l, node_r)
        left join link_edge as link using (node_l, node_r)
        left join (select distinct node_l, node_r from group_veto) as veto
            using (node_l, node_r)
        left join staged_decided as decided using (node_l, node_r)
        """,
        {"prior": 0.0 if rules.refinement.count_prior else scorer.model.prior_weight()},
    )
    connection.execute(
        """
        create or replace temp table group_contradicted as
        select component from group_fact
        group by component
        having bool_or(vetoed or weight < $contradicts)
        """,
        {"contradicts": rules.refinement.contradiction_weight},
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
