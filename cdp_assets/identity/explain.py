"""Why two records are, or are not, the same person: the evidence, put into words."""

import itertools
import json
import math
from collections import deque
from typing import Any, NamedTuple

import duckdb


class _Evidence(NamedTuple):
    left: str
    right: str
    kind: str
    rule: str
    weight: float | None
    levels: list[int] | None
    model_version: str | None


def why(connection: duckdb.DuckDBPyConnection, record_a: str, record_b: str) -> str:
    """Explain two records.

    Within one person: the shortest chain of links between them, each link with its
    rules and the weight of every comparison. In two people: whatever speaks for and
    against them directly.
    """
    people = _people(connection, record_a, record_b)
    for record in (record_a, record_b):
        if record not in people:
            return (
                f"{record} is no resolved record; name it as stream:key, for "
                "instance crm_contact:0035f00000AbCdE"
            )
    if people[record_a] != people[record_b]:
        lines = [f"{record_a} and {record_b} are two people."]
        direct = _evidence(connection, [record_a, record_b])
        if not direct:
            lines.append("No rule holds and the model does not bring them together.")
        return "\n".join(lines + _describe(connection, direct))
    lines = [f"{record_a} and {record_b} are one person, {people[record_a]}."]
    evidence = _evidence(connection, _members(connection, people[record_a]))
    chain = _chain(evidence, record_a, record_b)
    if len(chain) > 2:
        lines.append("They hang together through " + ", ".join(chain[1:-1]) + ".")
    for left, right in itertools.pairwise(chain):
        pair = [e for e in evidence if {e.left, e.right} == {left, right}]
        lines += _describe(connection, pair)
    return "\n".join(lines)


def _people(connection: duckdb.DuckDBPyConnection, *records: str) -> dict[str, str]:
    return dict(
        connection.execute(
            """
            select record, unified_individual_id from identity.unified_link_individual
            where list_contains($records, record)
            union all
            select record, unified_account_id from identity.unified_link_account
            where list_contains($records, record)
            """,
            {"records": list(records)},
        ).fetchall()
    )


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


def _evidence(
    connection: duckdb.DuckDBPyConnection, records: list[str]
) -> list[_Evidence]:
    """All evidence between the records, the strongest kind first."""
    rows = connection.execute(
        """
        with node as (
            select record, node_id from identity.node
            where list_contains($records, record)
        )
        select l.record, r.record, kind, rule, match_weight, levels, model_version
        from identity.evidence
        inner join node as l on node_l = l.node_id
        inner join node as r on node_r = r.node_id
        order by l.record, r.record, kind desc, rule
        """,
        {"records": records},
    ).fetchall()
    return [_Evidence(*row) for row in rows]


def _chain(evidence: list[_Evidence], start: str, goal: str) -> list[str]:
    """The shortest chain of links; the evidence of one person always has one."""
    vetoed = {frozenset(e[:2]) for e in evidence if e.kind == "veto"}
    neighbours: dict[str, set[str]] = {}
    for e in evidence:
        if e.kind != "veto" and frozenset(e[:2]) not in vetoed:
            neighbours.setdefault(e.left, set()).add(e.right)
            neighbours.setdefault(e.right, set()).add(e.left)
    came_from = {start: start}
    queue = deque([start])
    while queue and goal not in came_from:
        here = queue.popleft()
        for there in sorted(neighbours.get(here, ())):
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    chain = [goal]
    while chain[-1] != start and chain[-1] in came_from:
        chain.append(came_from[chain[-1]])
    return chain[::-1]


def _describe(
    connection: duckdb.DuckDBPyConnection, evidence: list[_Evidence]
) -> list[str]:
    lines = []
    pair: tuple[str, str] | None = None
    weighed = False
    for e in evidence:
        if (e.left, e.right) != pair:
            pair, weighed = (e.left, e.right), False
            lines.append(f"\n{e.left}  -  {e.right}")
        said = {
            "rule": f"match rule {e.rule} holds",
            "veto": f"not linked directly: {e.rule.replace('_', ' ')}",
        }
        if e.kind in said:
            lines.append(f"  {said[e.kind]}")
        if e.levels and e.weight is not None and not weighed:
            lines += _waterfall(connection, e, e.weight, e.levels)
            weighed = True
    return lines


def _waterfall(
    connection: duckdb.DuckDBPyConnection,
    evidence: _Evidence,
    weight: float,
    levels: list[int],
) -> list[str]:
    """The match weight, taken apart; the parts add up to it."""
    stored = connection.execute(
        "select settings from identity.match_model where model_version = ?",
        [evidence.model_version],
    ).fetchall()
    if not stored:
        return [f"  match weight {weight:+.2f}"]
    settings: dict[str, Any] = json.loads(stored[0][0])
    prior = settings["probability_two_random_records_match"]
    total = math.log2(prior / (1 - prior))
    lines = [f"    {total:+7.2f}  two random records"]
    for comparison, level in zip(settings["comparisons"], levels, strict=True):
        found = [
            each
            for each in reversed(comparison["comparison_levels"])
            if not each.get("is_null_level")
        ]
        name = comparison["output_column_name"].replace("_", " ")
        if level < 0:
            lines.append(f"    {0:+7.2f}  {name}: not comparable")
            continue
        part = math.log2(found[level]["m_probability"] / found[level]["u_probability"])
        total += part
        lines.append(f"    {part:+7.2f}  {name}: {found[level]['label_for_charts']}")
    lines.append(f"    {weight - total:+7.2f}  how frequent the names are")
    return [f"  match weight {weight:+.2f} by {evidence.model_version}", *lines]
