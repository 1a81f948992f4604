"""Why two records are, or are not, the same person: the evidence, gathered.

``explain_text`` and ``explain_html`` put it into words.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.compared_records import compared_values, stage_compared
from cdp_assets.identity.evidence_path import (
    Evidence,
    chain_between,
    evidence_between,
)
from cdp_assets.identity.lineage import Landed, landed
from cdp_assets.identity.rules import Ruleset, read_ruleset
from cdp_assets.identity.waterfall import Part, read_weighing


class UnknownRecordError(OperatorError, LookupError):
    """No resolved record of that name; the message says how records are named."""


@dataclass(frozen=True)
class Edge:
    """All that was found between two records directly."""

    left: str
    right: str
    evidence: list[Evidence]
    decisions: list[str]
    weight: float | None
    model_version: str | None
    parts: list[Part]


@dataclass(frozen=True)
class Explanation:
    """Two records, whose they are, and what lies between them."""

    record_a: str
    record_b: str
    object: str
    people: dict[str, str]
    chain: list[str]
    """From one record to the other along links; the two alone where there is none."""
    edges: list[Edge]
    values: dict[str, dict[str, str]]
    """Per attribute what each record of the chain says, as it is compared."""
    landed: dict[str, Landed | None]

    @property
    def together(self) -> bool:
        """Whether they are one person."""
        return self.people[self.record_a] == self.people[self.record_b]


def explain(
    connection: duckdb.DuckDBPyConnection,
    record_a: str,
    record_b: str,
    ruleset: Ruleset | None = None,
) -> Explanation:
    """Gather why two records are one person, or what is between them if they are not.

    Within one person: the shortest chain of links between the two.

    Raises:
        UnknownRecordError: A record was not resolved.
    """
    object_name, people = whose(connection, record_a, record_b)
    chain = [record_a, record_b]
    ruleset = ruleset or read_ruleset()
    if people[record_a] == people[record_b]:
        members = _members(connection, people[record_a])
        evidence = evidence_between(connection, members)
        model = getattr(ruleset, object_name).model
        least = model.link_weight if model else 0.0
        chain = chain_between(evidence, record_a, record_b, least)
    else:
        evidence = evidence_between(connection, chain)
    stage_compared(connection, object_name, ruleset, chain)
    return Explanation(
        record_a,
        record_b,
        object_name,
        people,
        chain,
        [
            _edge(connection, pair, evidence)
            for pair in itertools.pairwise(chain)
            if pair[0] != pair[1]
        ],
        compared_values(connection, object_name, chain),
        {record: landed(connection, record) for record in chain},
    )


def whose(
    connection: duckdb.DuckDBPyConnection, *records: str
) -> tuple[str, dict[str, str]]:
    """The object of the records, and the person or company of each.

    Raises:
        UnknownRecordError: A record was not resolved or is named twice, or they are of
            two objects.
    """
    if len(set(records)) < len(records):
        raise UnknownRecordError(f"{records[0]} is named twice; name two records")
    rows = connection.execute(
        """
        select 'individual' as object, record, unified_individual_id
        from identity.unified_link_individual
        where record in (select unnest($records::varchar[]))
        union all
        select 'account', record, unified_account_id
        from identity.unified_link_account
        where record in (select unnest($records::varchar[]))
        """,
        {"records": list(records)},
    ).fetchall()
    people = {record: person for _, record, person in rows}
    for record in records:
        if record not in people:
            raise UnknownRecordError(
                f"{record} is no resolved record; name it as stream:key, for "
                "instance crm_contact:0035f00000AbCdE"
            )
    objects = {object_name for object_name, *_ in rows}
    if len(objects) > 1:
        raise UnknownRecordError(
            f"{' and '.join(records)}: one is a person's record and the other a "
            "company's, which are never compared"
        )
    return objects.pop(), people


def weight_parts(
    connection: duckdb.DuckDBPyConnection,
    pair: tuple[str, str],
    levels: list[int],
    model_version: str | None,
) -> list[Part]:
    """The summands of a weight; reads ``staged_matchable``. Empty where unknown."""
    weighing = read_weighing(connection, model_version)
    if weighing is None:
        return []
    found = connection.execute(
        "select * from staged_matchable where record in (?, ?)", list(pair)
    )
    names = [column[0] for column in found.description or []]
    sides: list[dict[str, Any]] = [
        dict(zip(names, row, strict=True)) for row in found.fetchall()
    ]
    return weighing.parts(levels, sides)


def _edge(
    connection: duckdb.DuckDBPyConnection,
    pair: tuple[str, str],
    evidence: list[Evidence],
) -> Edge:
    here = [each for each in evidence if {each.left, each.right} == set(pair)]
    weighed = next(
        (each for each in here if each.levels and each.weight is not None), None
    )
    parts = []
    if weighed and weighed.levels:
        parts = weight_parts(connection, pair, weighed.levels, weighed.model_version)
    return Edge(
        *pair,
        here,
        decisions_about(connection, *pair),
        weighed.weight if weighed else None,
        weighed.model_version if weighed else None,
        parts,
    )


def decisions_about(
    connection: duckdb.DuckDBPyConnection, record_a: str, record_b: str
) -> list[str]:
    """The decisions about these two that stand, in words."""
    rows = connection.execute(
        """
        select decision, kind, decided_by, decided_at, reason, applied_run
        from identity.decision
        where undone_at is null and record_l = ? and record_r = ? order by decision
        """,
        [min(record_a, record_b), max(record_a, record_b)],
    ).fetchall()
    return [
        f"decided {kind} by {by} on {at:%Y-%m-%d}: {why or '-'} (decision {number}"
        + (")" if applied else ", with the next run)")
        for number, kind, by, at, why, applied in rows
    ]


def _members(connection: duckdb.DuckDBPyConnection, person: str) -> list[str]:
    return [
        record
        for (record,) in connection.execute(
            """
            select record from identity.unified_link_individual
            where unified_individual_id = $person
            union all
            select record from identity.unified_link_account
            where unified_account_id = $person
            """,
            {"person": person},
        ).fetchall()
    ]
