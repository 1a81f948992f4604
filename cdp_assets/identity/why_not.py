"""Why two records are not the same person: what would have linked them, and did not."""

from dataclasses import dataclass

import duckdb

from cdp_assets.identity.asked_pair import (
    carriers,
    holds,
    said,
    stage_asked_pair,
    too_common,
)
from cdp_assets.identity.compared_records import compared_values, stage_compared
from cdp_assets.identity.decided import ANYBODYS_LINK
from cdp_assets.identity.evidence import most_records, pair_queries
from cdp_assets.identity.explain import evidence_between, whose
from cdp_assets.identity.fields import OBJECTS
from cdp_assets.identity.lineage import Landed, landed
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.pairs import query_for
from cdp_assets.identity.rules import ObjectRules, Ruleset, read_ruleset
from cdp_assets.identity.scoring import open_scorer
from cdp_assets.identity.sections import Criterion
from cdp_assets.identity.vetoes import stage_vetoes
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
    facts = _facts(connection, rules, records)
    values = compared_values(connection, object_name, records)
    found_rules = [
        _rule(connection, object_name, rules, name) for name in rules.match_rules
    ]
    weight, parts = _score(connection, model)
    keys = _keys(connection, object_name, ruleset)
    return WhyNot(
        record_a,
        record_b,
        object_name,
        people,
        _decisions(connection, people, records),
        found_rules,
        keys,
        weight,
        rules.model.link_weight if rules.model else None,
        model.version if model else None,
        parts,
        facts,
        _shared(connection, object_name, rules, records),
        values,
        {record: landed(connection, record) for record in records},
    )


def _facts(
    connection: duckdb.DuckDBPyConnection, rules: ObjectRules, records: list[str]
) -> list[str]:
    vetoes = {
        each.rule
        for each in evidence_between(connection, records)
        if each.kind == "veto"
    }
    if rules.cannot_link:
        stage_vetoes(connection, rules.cannot_link, "asked_pair", "asked_veto")
        vetoes |= {
            fact
            for (fact,) in connection.execute("select fact from asked_veto").fetchall()
        }
    return sorted(vetoes)


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
) -> tuple[float | None, list[Part]]:
    """The weight that the model gives the pair now, and its summands."""
    if model is None:
        return None, []
    with open_scorer(connection, model) as scorer:
        scorer.score("asked_pair", "asked_score")
    weight, levels = connection.execute(
        "select match_weight, levels from asked_score"
    ).fetchall()[0]
    sides = connection.execute("select * from staged_matchable")
    names = [column[0] for column in sides.description or []]
    pair = [dict(zip(names, row, strict=True)) for row in sides.fetchall()]
    weighing = Weighing(model.version, model.settings, model.frequencies)
    return weight, weighing.parts(levels, pair)


def _decisions(
    connection: duckdb.DuckDBPyConnection, people: dict[str, str], records: list[str]
) -> list[str]:
    """Decisions that keep the two, or any two records of their people, apart."""
    rows = connection.execute(
        f"""
        with link as ({ANYBODYS_LINK})
        select
            coalesce(given_with, decision) as number,
            first(record_l order by decision), first(record_r order by decision),
            count(*), any_value(decided_by), any_value(reason)
        from identity.decision
        inner join link as l on record_l = l.record
        inner join link as r on record_r = r.record
        where undone_at is null and kind = 'different' and (
            (l.id = $a and r.id = $b) or (l.id = $b and r.id = $a)
        )
        group by number order by number
        """,
        {"a": people[records[0]], "b": people[records[1]]},
    ).fetchall()
    return [
        f"decision {number} keeps {left} and {right} apart"
        + (f", and {pairs - 1} more pairs" if pairs > 1 else "")
        + f", by {by}: {why or '-'}"
        for number, left, right, pairs, by, why in rows
    ]


def _shared(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    records: list[str],
) -> list[str]:
    found = []
    for field in rules.shared:
        column = OBJECTS[object_name][field].column
        if not OBJECTS[object_name][field].many:
            column = f"[{column}]"
        rows = connection.execute(
            f"""
            select value, any_value(shared.records)
            from (
                select record, unnest({column}) as value from identity.node
                where record in (select unnest($records::varchar[]))
            )
            inner join identity.shared_identifier as shared using (value)
            where shared.object = $object and shared.field = $field
            group by value having count(distinct record) = 2
            """,
            {"records": records, "object": object_name, "field": field},
        ).fetchall()
        found += [
            f"{field} {value} is carried by {records:,} records and not compared"
            for value, records in rows
        ]
    return found
