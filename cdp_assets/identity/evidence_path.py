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


def chain_between(evidence: list[Evidence], start: str, goal: str) -> list[str]:
    """The shortest chain of links; the evidence of one person always has one."""
    denied = {
        frozenset(each[:2])
        for each in evidence
        if each.kind == "veto" or (each.kind, each.rule) == ("decision", "different")
    }
    decided = {
        frozenset(each[:2])
        for each in evidence
        if (each.kind, each.rule) == ("decision", "same")
    }
    neighbours: dict[str, set[str]] = {}
    for each in evidence:
        if frozenset(each[:2]) in decided or frozenset(each[:2]) not in denied:
            neighbours.setdefault(each.left, set()).add(each.right)
            neighbours.setdefault(each.right, set()).add(each.left)
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
