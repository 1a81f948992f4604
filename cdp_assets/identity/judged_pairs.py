"""What rules, blocking, facts and model say of many pairs at once.

``why-not`` asks the same of two records, one query after the other; here a table of
pairs is asked, set by set, so that all misses of a labelled file are told in seconds.
"""

from collections.abc import Iterator

import duckdb

from cdp_assets.identity.candidates import pair_queries
from cdp_assets.identity.in_short import PairSaid
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.scoring import Scorer
from cdp_assets.identity.vetoes import stage_vetoes


def judge_pairs(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    scorer: Scorer | None,
    pairs: str,
) -> Iterator[tuple[int, int, PairSaid]]:
    """Yield each pair of the table ``pairs`` (``node_l``, ``node_r``), in its order.

    Reads ``staged_matchable`` of all records, because caps count everybody, and the
    vetoes of the published evidence.
    """
    _stage_agreeing(connection, object_name, rules, pairs)
    _stage_against(connection, object_name, rules, pairs)
    if scorer is None:
        connection.execute(
            """
            create or replace temp table judged_score (
                node_l bigint, node_r bigint, match_weight double, levels integer[]
            )
            """
        )
    else:
        scorer.score(pairs, "judged_score")
    rows = connection.execute(
        f"""
        with agreeing as (
            select node_l, node_r,
                coalesce(list(name order by place)
                    filter (brings and is_rule), []) as rules,
                coalesce(list(name order by place)
                    filter (brings and not is_rule), []) as keys,
                coalesce(list(name order by place) filter (not brings), []) as common
            from judged_agreeing group by all
        ),
        against as (
            select node_l, node_r, list(distinct fact order by fact) as vetoes
            from judged_against group by all
        )
        select node_l, node_r, coalesce(rules, []), coalesce(keys, []),
            coalesce(common, []), coalesce(vetoes, []), match_weight,
            coalesce(levels, [])
        from {pairs}
        left join agreeing using (node_l, node_r)
        left join against using (node_l, node_r)
        left join judged_score using (node_l, node_r)
        order by all
        """
    ).fetchall()
    link_weight = rules.model.link_weight if rules.model else None
    for node_l, node_r, *lists, weight, levels in rows:
        by_rule, by_key, common, vetoes = map(tuple, lists)
        said = PairSaid(
            by_rule, by_key, common, vetoes, weight, tuple(levels), link_weight
        )
        yield node_l, node_r, said


def _stage_agreeing(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    pairs: str,
) -> None:
    """Build ``judged_agreeing``: per pair the queries it satisfies, and with caps."""
    connection.execute(
        f"""
        create or replace temp table judged_node as
        select node_l as node_id from {pairs} union select node_r from {pairs};
        create or replace temp table judged_agreeing (
            node_l bigint, node_r bigint, name varchar, place integer,
            is_rule boolean, brings boolean
        )
        """
    )
    for place, (name, query) in enumerate(pair_queries(object_name, rules).items()):
        for brings, rows in ((True, query.rows()), (False, query.keyed())):
            connection.execute(
                f"""
                create or replace temp table judged_row as
                from ({rows}) semi join judged_node using (node_id)
                """
            )
            connection.execute(
                f"""
                insert into judged_agreeing
                select distinct pair.node_l, pair.node_r, $name, $place::integer,
                    $is_rule::boolean, $brings::boolean
                from {pairs} as pair
                inner join judged_row as l on pair.node_l = l.node_id
                inner join judged_row as r
                    on pair.node_r = r.node_id and {query.alike()}
                where not exists (
                    from judged_agreeing as known
                    where known.node_l = pair.node_l and known.node_r = pair.node_r
                        and known.place = $place
                )
                """,
                {
                    "name": name.removeprefix("blocking "),
                    "place": place,
                    "is_rule": name in rules.match_rules,
                    "brings": brings,
                },
            )


def _stage_against(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    pairs: str,
) -> None:
    """Build ``judged_against``: facts that contradict, and published vetoes."""
    stage_vetoes(connection, rules.cannot_link, pairs, "judged_against")
    connection.execute(
        f"""
        insert into judged_against
        select node_l, node_r, rule from identity.evidence
        semi join {pairs} using (node_l, node_r)
        where object = ? and kind = 'veto'
        """,
        [object_name],
    )
