"""Why two records are not the same person: what would have linked them, and did not."""

from dataclasses import dataclass

import duckdb

from cdp_assets.identity.against_pair import (
    decisions_against,
    facts_against,
    shared_values,
)
from cdp_assets.identity.asked_pair import (
    carriers,
    holds,
    said,
    stage_asked_pair,
    too_common,
)
from cdp_assets.identity.candidates import most_records, pair_queries
from cdp_assets.identity.compared_records import compared_values, stage_compared
from cdp_assets.identity.explain import whose
from cdp_assets.identity.fields import OBJECTS
from cdp_assets.identity.in_short import PairSaid, why_apart
from cdp_assets.identity.lineage import Landed, landed
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.pairs import query_for
from cdp_assets.identity.rules import ObjectRules, Ruleset, read_ruleset
from cdp_assets.identity.scoring import open_scorer
from cdp_assets.identity.sections import Criterion
from cdp_assets.identity.waterfall import Part, Weighing


@dataclass(frozen=True)
class Compared:
    """One criterion of a rule, and what the two records say to it."""

    criterion: Criterion
    holds: bool
    left: str
    right: str


@dataclass(frozen=True)
class RuleFound:
    """One match rule on the pair."""

    name: str
    compared: list[Compared]
    too_common: str
    """The value that holds but that too many records carry, if that is why."""

    @property
    def holds(self) -> bool:
        """Whether every criterion holds."""
        return all(each.holds for each in self.compared)


@dataclass(frozen=True)
class KeyFound:
    """One blocking key on the pair: whether it brings the two together."""

    name: str
    agrees: bool
    records: int | None
    """How many records carry the rarest value that they share, where that is capped."""
    at_most: int | None

    @property
    def brings(self) -> bool:
        """Whether the model gets to see the pair because of it."""
        capped = self.records is not None and self.at_most is not None
        return self.agrees and not (capped and self.records > self.at_most)  # type: ignore[operator]


@dataclass(frozen=True)
class WhyNot:
    """All that could have linked two records."""

    record_a: str
    record_b: str
    object: str
    people: dict[str, str]
    decisions: list[str]
    rules: list[RuleFound]
    keys: list[KeyFound]
    weight: float | None
    link_weight: float | None
    model_version: str | None
    parts: list[Part]
    facts: list[str]
    """Facts that contradict now, and vetoes that the published evidence holds."""
    shared: list[str]
    """Values in common that too many records carry, and are not compared."""
    values: dict[str, dict[str, str]]
    landed: dict[str, Landed | None]
    in_short: str
    """All of it in a sentence."""


def why_not(
    connection: duckdb.DuckDBPyConnection,
    record_a: str,
    record_b: str,
    ruleset: Ruleset | None = None,
) -> WhyNot:
    """Judge two records by every rule, key, score and fact there is.

    Raises:
        UnknownRecordError: A record was not resolved.
    """
    ruleset = ruleset or read_ruleset()
    object_name, people = whose(connection, record_a, record_b)
    rules: ObjectRules = getattr(ruleset, object_name)
    records = [record_a, record_b]
    model = stage_compared(connection, object_name, ruleset, records)
    stage_asked_pair(connection, records)
    facts = facts_against(connection, rules, records)
    decisions = decisions_against(connection, people, records)
    values = compared_values(connection, object_name, records)
    found_rules = [
        _rule(connection, object_name, rules, name) for name in rules.match_rules
    ]
    weight, levels, parts = _score(connection, model)
    keys = _keys(connection, object_name, ruleset)
    said = PairSaid(
        rules=tuple(r.name for r in found_rules if r.holds and not r.too_common),
        keys=tuple(key.name for key in keys if key.brings),
        common=(
            *(rule.name for rule in found_rules if rule.holds and rule.too_common),
            *(key.name for key in keys if key.agrees and not key.brings),
        ),
        vetoes=tuple(facts),
        weight=weight,
        levels=tuple(levels),
        link_weight=rules.model.link_weight if rules.model else None,
    )
    return WhyNot(
        record_a,
        record_b,
        object_name,
        people,
        decisions,
        found_rules,
        keys,
        weight,
        said.link_weight,
        model.version if model else None,
        parts,
        facts,
        shared_values(connection, object_name, rules, records),
        values,
        {record: landed(connection, record) for record in records},
        decisions[0] if decisions else why_apart(said, model),
    )


def _rule(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    name: str,
) -> RuleFound:
    fields = OBJECTS[object_name]
    criteria = rules.match_rules[name].criteria
    compared = []
    for criterion in criteria:
        query = query_for([criterion], fields)
        left, right = (said(connection, query, side) for side in ("node_l", "node_r"))
        compared.append(Compared(criterion, holds(connection, query), left, right))
    query = query_for(criteria, fields)
    common = too_common(connection, object_name, name, query)
    return RuleFound(name, compared, common)


def _keys(
    connection: duckdb.DuckDBPyConnection, object_name: str, ruleset: Ruleset
) -> list[KeyFound]:
    """Every blocking key; carriers are counted only where a cap may matter."""
    rules: ObjectRules = getattr(ruleset, object_name)
    queries = {
        name.removeprefix("blocking "): query
        for name, query in pair_queries(object_name, rules).items()
        if name not in rules.match_rules
    }
    agreeing = {name for name, query in queries.items() if holds(connection, query)}
    if any(queries[name].at_most for name in agreeing):
        stage_compared(connection, object_name, ruleset, None)
    most = most_records(rules.gates.pairs_of_one_value)
    found = []
    for name, query in queries.items():
        carried = None
        if name in agreeing and query.at_most:
            carried = carriers(connection, query)
        found.append(KeyFound(name, name in agreeing, carried, query.at_most or most))
    return found


def _score(
    connection: duckdb.DuckDBPyConnection, model: MatchModel | None
) -> tuple[float | None, list[int], list[Part]]:
    """The weight that the model gives the pair now, its levels and its summands."""
    if model is None:
        return None, [], []
    with open_scorer(connection, model) as scorer:
        scorer.score("asked_pair", "asked_score")
    weight, levels = connection.execute(
        "select match_weight, levels from asked_score"
    ).fetchall()[0]
    sides = connection.execute("select * from staged_matchable")
    names = [column[0] for column in sides.description or []]
    pair = [dict(zip(names, row, strict=True)) for row in sides.fetchall()]
    weighing = Weighing(model.version, model.settings, model.frequencies)
    return weight, levels, weighing.parts(levels, pair)
