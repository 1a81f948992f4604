"""Precision and recall estimated from the answers to a stratified sample.

Within a stratum the share of true pairs has Wilson's interval, which is open also where
no answer disagreed. How far the whole may lie off is the root of the sum of squares of
how far each stratum may, downwards and upwards apart (MOVER): a distribution per
stratum, as Jeffreys', pulls the whole downwards by a little for each. The strata weigh
by how many pairs they hold now, an answer by how many its pair stood for when it was
drawn, so that a sample outlives the runs after it. On the samples of 4,583 records the
interval from 200 answers holds the true precision in 178 of 200 draws and the recall in
182; where it does not, it is nearly always too low.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from cdp_assets.identity.judging.intervals import Figure
from cdp_assets.identity.judging.strata import is_together, sizes, stage_strata
from cdp_assets.identity.labels import wilson


@dataclass(frozen=True)
class Stratum:
    """The answers about one stratum."""

    name: str
    pairs: int
    answered: int
    same: int
    share: float
    """The share of true pairs, each answer weighed by what its pair stood for."""
    worth: float
    """How many answers of equal weight they are worth."""

    @property
    def true_pairs(self) -> float:
        """How many of its pairs are one person: known of those answered."""
        return self.same + (self.pairs - self.answered) * self.share

    def offsets(self) -> tuple[float, float]:
        """By how many true pairs the estimate may lie off, downwards and upwards.

        Nothing is open about pairs that were answered, and nothing where all were.
        """
        scale = math.sqrt(self.pairs * (self.pairs - self.answered))
        low, high = wilson(self.share, self.worth)
        return (low - self.share) * scale, (high - self.share) * scale


@dataclass(frozen=True)
class Clerical:
    """What a sample says of all pairs that were compared."""

    strata: list[Stratum]
    drawn: int
    unsure: int
    precision: Figure
    recall: Figure
    """Of the true pairs among those with evidence, or together."""
    f1: Figure


def estimate(
    connection: duckdb.DuckDBPyConnection, link_weight: float
) -> Clerical | None:
    """The estimate from all answers to the sample last drawn; none without answers.

    Pairs answered with "unsure" count as not asked.
    """
    drawn, unsure, answered = connection.execute(
        """
        select
            count(*),
            count(*) filter (where label.record_l is not null and is_match is null),
            count(is_match)
        from identity.clerical_sample
        left join identity.labelled_pair as label using (record_l, record_r)
        """
    ).fetchall()[0]
    if not answered:
        return None
    stage_strata(connection, link_weight)
    strata = _strata(connection)
    return Clerical(strata, drawn, unsure, *_figures(strata))


def _strata(connection: duckdb.DuckDBPyConnection) -> list[Stratum]:
    rows = connection.execute(
        """
        select
            stratum, count(*), count(*) filter (where is_match),
            sum(stands_for * is_match::int) / sum(stands_for),
            sum(stands_for) ** 2 / sum(stands_for ** 2)
        from judged_pair
        inner join (from identity.clerical_sample select * exclude (stratum))
            using (record_l, record_r)
        inner join identity.labelled_pair using (record_l, record_r)
        where is_match is not null
        group by stratum
        """
    ).fetchall()
    said = {row[0]: row[1:] for row in rows}
    # A stratum without answers may be all right or all wrong.
    return [
        Stratum(name, pairs, *said.get(name, (0, 0, 0.5, 0.0)))
        for name, pairs in sizes(connection).items()
    ]


def _figures(strata: list[Stratum]) -> Iterator[Figure]:
    """Precision, recall and F1, from the true pairs together and apart."""
    right, missed = (
        sum(each.true_pairs for each in strata if is_together(each.name) is side)
        for side in (True, False)
    )
    asserted = sum(each.pairs for each in strata if is_together(each.name))
    true, both = right + missed, asserted + right + missed
    # Each figure, and by how much one more true pair together, or apart, moves it.
    yield _figure(strata, _ratio(right, asserted), _ratio(1, asserted), 0.0)
    yield _figure(
        strata, _ratio(right, true), _ratio(missed, true**2), -_ratio(right, true**2)
    )
    yield _figure(
        strata,
        _ratio(2 * right, both),
        2 * _ratio(asserted + missed, both**2),
        -2 * _ratio(right, both**2),
    )


def _figure(
    strata: list[Stratum], value: float, together: float, apart: float
) -> Figure:
    down = up = 0.0
    for each in strata:
        slope = together if is_together(each.name) else apart
        less, more = (slope * offset for offset in each.offsets())
        down += min(less, more) ** 2
        up += max(less, more) ** 2
    return Figure(
        value, max(0.0, value - math.sqrt(down)), min(1.0, value + math.sqrt(up))
    )


def _ratio(part: float, whole: float) -> float:
    """A share of nothing is one: whoever asserts nothing is never wrong."""
    return part / whole if whole else 1.0
