"""Which link weight the stated costs of a wrong merge and a wrong split ask for.

Told beside the one in force and never applied: a threshold is a part of the ruleset,
and moves people only when somebody writes it there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from cdp_assets.identity.judging.curve import Point
from cdp_assets.identity.sections import Costs

# Fewer answers say too little of where they turn from different to same.
_ANSWERS_NEEDED = 50


@dataclass(frozen=True)
class Asked:
    """A link weight, and what it follows from."""

    link_weight: float
    source: str


def asked_by_truth(points: Sequence[Point], costs: Costs, in_force: float) -> Asked:
    """The point of the curve that costs least, of several the nearest to now."""
    best = min(
        points,
        key=lambda point: (
            costs.false_merge * point.false + costs.false_split * point.missed,
            abs(point.threshold - in_force),
        ),
    )
    return Asked(best.threshold, "the truth")


def asked_by_answers(
    connection: duckdb.DuckDBPyConnection, costs: Costs
) -> Asked | None:
    """The weight between answers at which the sample's wrong pairs cost least.

    An answer counts for all pairs that its own stood for when it was drawn. Reads
    ``judged_pair``, which the estimate has built; none from fewer than 50 answers.
    """
    rows = connection.execute(
        """
        with answer as (
            select weight, stands_for, is_match
            from judged_pair
            inner join identity.clerical_sample using (record_l, record_r)
            inner join identity.labelled_pair using (record_l, record_r)
            where weight is not null and is_match is not null
        )
        select cut.weight, sum(stands_for * case
            when answer.weight >= cut.weight then if(is_match, 0, $merge)
            else if(is_match, $split, 0) end) as cost, count(*)
        from (select distinct weight from answer) as cut cross join answer
        group by cut.weight order by cost, cut.weight limit 1
        """,
        {"merge": costs.false_merge, "split": costs.false_split},
    ).fetchall()
    if not rows or rows[0][2] < _ANSWERS_NEEDED:
        return None
    weight, _, answers = rows[0]
    return Asked(float(weight), f"{answers} answers to a random sample")


def asked_by_model(costs: Costs) -> Asked:
    """Where the model's own probability makes either mistake cost the same."""
    weight = math.log2(costs.false_merge / costs.false_split)
    return Asked(weight, "the model's own probabilities")
