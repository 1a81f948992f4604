"""How much agreement says, estimated from counted pairs by expectation maximisation.

Nothing here knows of records or labels: only of how many pairs have which levels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PASSES = 100
_SETTLED = 1e-6

# What is believed before the file is looked at, which counts as much as this many pairs
# of one person: how often two records of one person are at the last resort. A first
# name or a birth date hardly ever changes, addresses do.
_BELIEF = 1000.0
_BELIEVED_DIFFERENT = {
    "first_name": 0.03, "last_name": 0.08, "middle_name": 0.1, "birth_date": 0.03,
    "identifier": 0.03, "email": 0.2, "phone": 0.25, "address": 0.2, "place": 0.2,
    "gender": 0.03, "name": 0.05, "website": 0.1,
}  # fmt: skip
_BELIEVED_DIFFERENT_TEXT = 0.15

# Of the pairs that are not at the last resort, how many are at the best level.
_BELIEVED_BEST = 0.75
# Of the levels between, each better one is seen so many times as often.
_BELIEVED_STEP = 1.6

# Every record has one other of its person, before the file is looked at.
_BELIEVED_MATCHES = 1.0

# Who lives together is believed to be as unlike as who does not, until more pairs than
# this say otherwise.
_BELIEVED_ELSEWHERE = 100.0

# What has never been seen by chance is taken to be seen half a time.
_UNSEEN = 0.5


@dataclass(frozen=True)
class Patterns:
    """Pairs counted by the levels they have: -1 missing, else as in evidence."""

    levels: Ints
    counts: Floats


@dataclass(frozen=True)
class Estimate:
    """What expectation maximisation came to."""

    matches: float
    m: list[Floats]
    u: list[Floats]


def estimate_levels(
    candidates: Patterns,
    random: Patterns,
    believed: list[Floats],
    *,
    pairs: float,
    records: int,
    given: list[int] | None = None,
    apart: npt.NDArray[np.bool_] | None = None,
) -> Estimate:
    """Estimate m, u and the number of pairs that are one person's.

    Args:
        candidates: The pairs that blocking finds, scaled to all of them.
        random: Pairs drawn at random, scaled to all pairs of the file.
        believed: Per comparison the m to begin with, from the last resort to the best.
        pairs: How many pairs the file has.
        records: How many records it has.
        given: Per comparison how many of the best levels are for pairs of which
            something else is known: their shares are of those pairs, and of no others.
        apart: The candidate patterns that are taken for two people while learning.
    """
    sizes = [len(shares) for shares in believed]
    seen = [_counted(random, random.counts, place, n) for place, n in enumerate(sizes)]
    given = given or [0] * len(sizes)
    m = [shares.copy() for shares in believed]
    u = [_by_chance(*told) for told in zip(seen, m, given, strict=True)]
    matches = min(records * _BELIEVED_MATCHES, pairs) / 2
    if len(believed) == 1:
        return _of_one(seen[0], believed[0], pairs=pairs, records=records)
    for _ in range(_PASSES):
        posterior = _posterior(candidates, m, u, matches / pairs)
        if apart is not None:
            posterior[apart] = 0.0
        before, matches = matches, min(float(posterior.sum()) + 1, pairs / 2)
        for place, (size, best) in enumerate(zip(sizes, given, strict=True)):
            same = _counted(candidates, posterior, place, size)
            other = _counted(candidates, candidates.counts - posterior, place, size)
            m[place] = _shares(same + _BELIEF * believed[place], best)
            # What agrees by chance but rarely is among the candidates, so that they
            # bound from below what few random pairs cannot show.
            counts = np.maximum(seen[place] - same, other)
            u[place] = _by_chance(counts, m[place], best)
        if abs(matches - before) < _SETTLED * matches:
            break
    return Estimate(matches, m, u)


def _of_one(seen: Floats, believed: Floats, *, pairs: float, records: int) -> Estimate:
    """What one comparison alone is worth, from which nothing can be learnt.

    As many pairs agree because they are one person's as because of chance; no other
    attribute tells them apart. The best level is believed to be what it looks like, as
    long as it joins no more pairs than there are records.
    """
    matches = max(min(float(seen[-1]), records) / float(believed[-1]), _UNSEEN)
    matches = min(matches, pairs / 2)
    by_chance = np.maximum(seen - matches * believed, 0)
    return Estimate(matches, [believed], [_shares(by_chance)])


def housemates(patterns: Patterns, names: list[str]) -> npt.NDArray[np.bool_]:
    """The patterns of pairs whose first names differ and whom nothing personal joins.

    A file of households has as many of them as of real pairs, all alike, and would be
    learnt from as if a person were a household.
    """
    if "first_name" not in names:
        return np.zeros(len(patterns.counts), dtype=bool)
    found = patterns.levels[:, names.index("first_name")] == 0
    for name in ("birth_date", "identifier"):
        if name in names:
            found &= patterns.levels[:, names.index(name)] <= 0
    return np.asarray(found)


def _posterior(
    patterns: Patterns, m: list[Floats], u: list[Floats], share: float
) -> Floats:
    """How many pairs of each pattern are one person's."""
    log_odds = np.full(len(patterns.counts), np.log(share / (1 - share)))
    for place, (within, by_chance) in enumerate(zip(m, u, strict=True)):
        weights = np.append(np.log(within / by_chance), 0.0)
        log_odds += weights[patterns.levels[:, place]]
    return np.asarray(patterns.counts / (1 + np.exp(-log_odds)))


def believed_levels(name: str, size: int, given: int = 0) -> Floats:
    """How often the levels are believed to be seen within one person.

    Of pairs of which something else is known, too: how often the best levels are seen.
    """
    if given:
        parts = believed_levels(name, size - given), believed_levels(name, given)
        return np.concatenate(parts)
    different = _BELIEVED_DIFFERENT.get(name, _BELIEVED_DIFFERENT_TEXT)
    shares = _BELIEVED_STEP ** np.arange(size, dtype=np.float64)
    shares[1:-1] *= (1 - different) * (1 - _BELIEVED_BEST) / max(shares[1:-1].sum(), 1)
    shares[0], shares[-1] = different, (1 - different) * _BELIEVED_BEST
    return np.asarray(shares / shares.sum())


def _counted(patterns: Patterns, counts: Floats, place: int, size: int) -> Floats:
    known = patterns.levels[:, place] >= 0
    found = np.bincount(patterns.levels[known, place], counts[known], minlength=size)
    return np.asarray(found, dtype=np.float64)


def _by_chance(counts: Floats, m: Floats, given: int) -> Floats:
    """Shares of the pairs that agree by chance, as far as they have been seen."""
    if given:
        elsewhere = _by_chance(counts[:-given], m[:-given], 0)
        alike = max(1 - elsewhere[0], 0.0)
        unseen = _BELIEVED_ELSEWHERE * np.array([1 - alike, alike])
        return np.concatenate((elsewhere, _shares(counts[-given:] + unseen)))
    u = _shares(counts)
    # A level that chance never shows would weigh what it is believed to be seen within
    # one person, over next to nothing; no more than full agreement does.
    return np.where(counts < 1, np.clip(m * u[-1] / m[-1], u, 1), u)


def _shares(counts: Floats, given: int = 0) -> Floats:
    if given:
        return np.concatenate((_shares(counts[:-given]), _shares(counts[-given:])))
    counts = np.maximum(counts, _UNSEEN)
    return np.asarray(counts / counts.sum())
