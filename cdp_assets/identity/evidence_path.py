"""The evidence between records, and the shortest chain of it from one to another."""

from collections import deque
from typing import NamedTuple

import duckdb


class Evidence(NamedTuple):
    """One row of ``identity.evidence``, by record name."""

    left: str
    right: str
    kind: str
    rule: str
    weight: float | None
    levels: list[int] | None
    model_version: str | None


def evidence_between(
    connection: duckdb.DuckDBPyConnection, records: list[str]
) -> list[Evidence]:
    """All evidence among the records, in a fixed order."""
    rows = connection.execute(
        """
        with node as (
            select record, node_id from identity.node
            where record in (select unnest($records::varchar[]))
        )
        select l.record, r.record, kind, rule, match_weight, levels, model_version
        from identity.evidence
        inner join node as l on node_l = l.node_id
        inner join node as r on node_r = r.node_id
        order by l.record, r.record, kind, rule
        """,
        {"records": records},
    ).fetchall()
    return [Evidence(*row) for row in rows]


def chain_between(
    evidence: list[Evidence], start: str, goal: str, link_weight: float
) -> list[str]:
    """The shortest chain of links; the evidence of one person always has one.

    Args:
        evidence: All that is kept among the person's records.
        start: A record of theirs.
        goal: Another.
        link_weight: The model's weight from which it links. Lesser ones are kept, too.
    """
    neighbours = _linked(evidence, link_weight)
    came_from = {start: start}
    queue = deque([start])
    while queue and goal not in came_from:
        here = queue.popleft()
        for there in sorted(neighbours.get(here, ())):
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    if goal not in came_from:
        return [start, goal]
    chain = [goal]
    while chain[-1] != start:
        chain.append(came_from[chain[-1]])
    return chain[::-1]


def _linked(evidence: list[Evidence], link_weight: float) -> dict[str, set[str]]:
    """Per record those that it is linked with, as ``stage_links`` has it."""
    told: dict[str, set[frozenset[str]]] = {
        "same": set(),
        "denied": set(),
        "link": set(),
    }
    for each in evidence:
        pair = frozenset((each.left, each.right))
        if (each.kind, each.rule) == ("decision", "same"):
            told["same"].add(pair)
        elif each.kind in ("decision", "veto"):
            told["denied"].add(pair)
        elif each.kind == "rule" or (each.weight or 0.0) >= link_weight:
            told["link"].add(pair)
    neighbours: dict[str, set[str]] = {}
    for one, other in map(sorted, told["same"] | (told["link"] - told["denied"])):
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    return neighbours
