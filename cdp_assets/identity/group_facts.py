"""What the pairs within one group say of each other, contradictions included."""

import duckdb

from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.scoring import Scorer
from cdp_assets.identity.sections import Refinement
from cdp_assets.identity.vetoes import stage_vetoes


def stage_decided_facts(connection: duckdb.DuckDBPyConnection) -> None:
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


def stage_group_pairs(
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


def stage_group_facts(
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
