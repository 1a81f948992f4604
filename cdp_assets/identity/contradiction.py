"""Whether decisions can all hold: a pure function of the decisions.

Same is transitive, so two records that a chain of ``same`` makes one person cannot be
``different``. What contradicts is named with its chain, and never resolved by guessing.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """One decision that holds: two records are the same person, or are not."""

    number: int
    kind: str
    left: str
    right: str

    def __str__(self) -> str:
        """As an operator reads it."""
        return f"{self.left} {self.kind} {self.right} (decision {self.number})"


@dataclass(frozen=True)
class Contradiction:
    """Two records said to be different that a chain of ``same`` joins."""

    different: Decision
    chain: list[Decision]

    def __str__(self) -> str:
        """The decision and the chain that denies it."""
        return f"{self.different}, but " + ", ".join(str(link) for link in self.chain)


def contradictions(decisions: Iterable[Decision]) -> list[Contradiction]:
    """Every ``different`` whose two records a chain of ``same`` joins."""
    decisions = sorted(decisions, key=lambda decision: decision.number)
    neighbours: dict[str, list[tuple[str, Decision]]] = {}
    for decision in decisions:
        if decision.kind == "same":
            for here, there in (
                (decision.left, decision.right),
                (decision.right, decision.left),
            ):
                neighbours.setdefault(here, []).append((there, decision))
    found = []
    for decision in decisions:
        if decision.kind == "different":
            chain = _chain(neighbours, decision.left, decision.right)
            if chain is not None:
                found.append(Contradiction(decision, chain))
    return found


def _chain(
    neighbours: dict[str, list[tuple[str, Decision]]], start: str, goal: str
) -> list[Decision] | None:
    """The shortest chain of ``same`` from one record to another, if there is one."""
    came_by: dict[str, tuple[str, Decision] | None] = {start: None}
    queue = deque([start])
    while queue and goal not in came_by:
        here = queue.popleft()
        for there, decision in neighbours.get(here, ()):
            if there not in came_by:
                came_by[there] = (here, decision)
                queue.append(there)
    if goal not in came_by:
        return None
    chain = []
    step = came_by[goal]
    while step is not None:
        chain.append(step[1])
        step = came_by[step[0]]
    return chain[::-1]
