"""Evidence: why two records may be one person, one row per pair and reason.

    rule      a match rule holds
    model     the match weight over all attributes, from the lowest weight kept
    veto      why a pair with evidence is not linked all the same: a fact that
              contradicts, ``overruled_by_model``, or ``refined_apart``
    decision  a person said ``same`` or ``different``

People are exactly the connected components of the pairs that are decided the same, or
have a rule, or a model weight that links, and neither a veto nor a decision against it.
"""

from collections.abc import Callable

import duckdb

from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.scoring import Scorer
from cdp_assets.identity.vetoes import stage_vetoes

Say = Callable[[str], None]


def stage_evidence(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    scorer: Scorer | None,
) -> None:
    """Build ``staged_evidence`` of the pairs staged, and ``staged_score`` of them."""
    if scorer is None:
        _create_empty_score(connection)
    else:
        scorer.score("candidate", "staged_score")
    _assemble(connection, object_name, rules, scorer)


def _assemble(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    scorer: Scorer | None,
) -> None:
    keep = rules.model.keep_weight if rules.model else 0.0
    version = scorer.model.version if scorer else None
    connection.execute(
        """
        create or replace temp table staged_evidence as
        select
            node_l, node_r, 'rule' as kind, rule, score.match_weight, score.levels,
            $version as model_version, $object as object
        from rule_pair
        left join staged_score as score using (node_l, node_r)
        union all
        select
            node_l, node_r, 'model', 'model', match_weight, levels, $version, $object
        from staged_score
        where match_weight >= $keep
        union all
        select
            node_l, node_r, 'decision', decided.rule, score.match_weight, score.levels,
            if(score.levels is null, null, $version), $object
        from staged_decided as decided
        left join staged_score as score using (node_l, node_r)
        """,
        {"version": version, "object": object_name, "keep": keep},
    )
    connection.execute(
        """
        create or replace temp table evidence_pair as
        select distinct node_l, node_r from staged_evidence
        """
    )
    stage_vetoes(connection, rules.cannot_link, "evidence_pair", "evidence_veto")
    add_vetoes(connection, "evidence_veto")
    connection.execute(
        "drop table evidence_pair; drop table evidence_veto; drop table rule_pair"
    )
    if rules.model:
        _overrule(connection, rules, rules.model.link_weight)
        if scorer and rules.model.needs_personal:
            _require_personal(connection, scorer.model)


def add_vetoes(connection: duckdb.DuckDBPyConnection, vetoes: str) -> None:
    """Add the contradictions ``node_l``, ``node_r``, ``fact`` to the evidence."""
    connection.execute(
        f"""
        insert into staged_evidence
        select
            veto.node_l, veto.node_r, 'veto', veto.fact, score.match_weight,
            score.levels, seen.model_version, seen.object
        from {vetoes} as veto
        left join staged_score as score using (node_l, node_r)
        cross join (select any_value(model_version) as model_version,
            any_value(object) as object from staged_evidence) as seen
        """
    )


def _overrule(
    connection: duckdb.DuckDBPyConnection, rules: ObjectRules, link_weight: float
) -> None:
    """Veto pairs that only rules hold which the model may overrule, and does."""
    floors = {
        name: rule.overruled_below
        for name, rule in rules.match_rules.items()
        if rule.overruled_below is not None
    }
    if not floors:
        return
    connection.execute(
        """
        create or replace temp table overruled as
        select node_l, node_r, 'overruled_by_model' as fact
        from staged_evidence
        where kind in ('rule', 'model')
        group by node_l, node_r
        having bool_or(kind = 'rule') and bool_and(case
            when kind = 'model' then match_weight < $link
            else match_weight < coalesce($floors[list_position($rules, rule)], -1e9)
        end)
        """,
        {
            "link": link_weight,
            "rules": list(floors),
            "floors": list(floors.values()),
        },
    )
    add_vetoes(connection, "overruled")


def _require_personal(connection: duckdb.DuckDBPyConnection, model: MatchModel) -> None:
    """Veto pairs the model alone would link on what a whole household shares."""
    personal = " or ".join(
        f"list_contains({levels}, levels[{place}])"
        for place, levels in model.personal_levels()
    )
    if not personal:
        return
    connection.execute(
        f"""
        create or replace temp table impersonal as
        select node_l, node_r, 'nothing_personal' as fact
        from staged_evidence
        where kind in ('rule', 'model')
        group by node_l, node_r
        having bool_and(kind = 'model' and not ({personal}))
        """
    )
    add_vetoes(connection, "impersonal")


def stage_links(connection: duckdb.DuckDBPyConnection, rules: ObjectRules) -> None:
    """Build ``link_edge``: the pairs whose evidence links them."""
    link = rules.model.link_weight if rules.model else 0.0
    connection.execute(
        """
        create or replace temp table link_edge as
        select node_l, node_r from staged_evidence
        group by node_l, node_r
        having bool_or(kind = 'decision' and rule = 'same') or (
            bool_or(kind = 'rule' or (kind = 'model' and match_weight >= $link))
            and not bool_or(kind in ('veto', 'decision'))
        )
        """,
        {"link": link},
    )


def _create_empty_score(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        create or replace temp table staged_score (
            node_l bigint, node_r bigint, match_weight double, levels integer[]
        )
        """
    )
