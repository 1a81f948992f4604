"""Putting a contradictory group together again, part by part: a pure function.

The two parts that agree best are joined first, by the average over all pairs between
them (average linkage), never across a contradiction and never without a link between
them. Records that a person called the same are one part from the start. Ties go to the
smaller record names, so the order of the input cannot matter.
"""

import heapq
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """What two records of a group say about each other."""

    left: str
    right: str
    weight: float
    linked: bool
    vetoed: bool
    same: bool = False
    """Said to be the same by a person, whatever else: never parted."""


def partition(
    pairs: list[Pair],
    join_weight: float,
    unseen_weight: float = 0.0,
    ambiguous_within: float | None = None,
) -> dict[str, str]:
    """Split one group into parts without contradictions.

    Args:
        pairs: The compared pairs of the group; records are names.
        join_weight: The average weight from which two parts are joined.
        unseen_weight: What a pair that is not among ``pairs`` weighs.
        ambiguous_within: A part that fits two others which contradict each other, by
            averages no farther apart than this, is joined to neither. None joins it to
            the better one.

    Returns:
        For every record the smallest record of its part.
    """
    parts = _Parts(pairs, join_weight, unseen_weight, ambiguous_within)
    parts.join_all()
    return {
        record: min(members) for members in parts.members.values() for record in members
    }


class _Parts:
    """Average-linkage clustering over a sparse set of pairs, best first."""

    def __init__(
        self,
        pairs: list[Pair],
        join_weight: float,
        unseen_weight: float,
        ambiguous_within: float | None,
    ) -> None:
        self._ambiguous_within = ambiguous_within
        self._join_weight = join_weight
        self._unseen_weight = unseen_weight
        records = {record for pair in pairs for record in (pair.left, pair.right)}
        self.members: dict[str, set[str]] = {record: {record} for record in records}
        # Per part and neighbouring part: sum of weights, pairs, links, contradictions.
        self._between: dict[str, dict[str, tuple[float, int, int, int]]] = {
            record: {} for record in records
        }
        self._queue: list[tuple[float, str, str, int, int]] = []
        for pair in pairs:
            between = (pair.weight, 1, int(pair.linked), int(pair.vetoed))
            self._between[pair.left][pair.right] = between
            self._between[pair.right][pair.left] = between
            self._offer(pair.left, pair.right)
        self._join_decided(sorted((p.left, p.right) for p in pairs if p.same))

    def _join_decided(self, pairs: list[tuple[str, str]]) -> None:
        part = {record: record for record in self.members}
        for left, right in pairs:
            a, b = sorted((part[left], part[right]))
            if a != b:
                part |= dict.fromkeys(self.members[b], a)
                self._join(a, b)

    def join_all(self) -> None:
        while self._queue:
            _, a, b, size_a, size_b = heapq.heappop(self._queue)
            if len(self.members.get(a, ())) != size_a:
                continue
            if len(self.members.get(b, ())) != size_b:
                continue
            if not (self._is_ambiguous(a, b) or self._is_ambiguous(b, a)):
                self._join(a, b)

    def _is_ambiguous(self, part: str, other: str) -> bool:
        """Whether ``part`` fits one that contradicts ``other`` about as well."""
        if self._ambiguous_within is None:
            return False
        least = self._average(part, other) - self._ambiguous_within
        return any(
            vetoes
            and self._may_join(part, rival)
            and self._average(part, rival) >= least
            for rival, (_, _, _, vetoes) in self._between[other].items()
            if rival in self._between[part]
        )

    def _average(self, a: str, b: str) -> float:
        """What the pairs between two parts weigh on average."""
        weight, pairs, _, _ = self._between[a][b]
        all_pairs = len(self.members[a]) * len(self.members[b])
        return (weight + self._unseen_weight * (all_pairs - pairs)) / all_pairs

    def _may_join(self, a: str, b: str) -> bool:
        _, _, links, vetoes = self._between[a][b]
        return bool(links and not vetoes and self._average(a, b) >= self._join_weight)

    def _offer(self, a: str, b: str) -> None:
        if self._may_join(a, b):
            a, b = (a, b) if a < b else (b, a)
            sizes = len(self.members[a]), len(self.members[b])
            heapq.heappush(self._queue, (-self._average(a, b), a, b, *sizes))

    def _join(self, a: str, b: str) -> None:
        """Join ``b`` into ``a``, the part of the smaller record."""
        self.members[a] |= self.members.pop(b)
        lost = self._between.pop(b)
        kept = self._between[a]
        for other, between in lost.items():
            self._between[other].pop(b)
            if other == a:
                continue
            mine = kept.get(other, (0.0, 0, 0, 0))
            merged = (
                mine[0] + between[0],
                mine[1] + between[1],
                mine[2] + between[2],
                mine[3] + between[3],
            )
            kept[other] = self._between[other][a] = merged
        for other in kept:
            self._offer(a, other)
