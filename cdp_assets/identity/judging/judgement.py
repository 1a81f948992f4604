"""Everything that can be said of how good the published people are, in one look."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.identity.evaluation import Evaluation, evaluate
from cdp_assets.identity.judging.clerical import Clerical, estimate
from cdp_assets.identity.judging.costs import (
    Asked,
    asked_by_answers,
    asked_by_model,
    asked_by_truth,
)
from cdp_assets.identity.judging.curve import Point, curve
from cdp_assets.identity.judging.intervals import Figures, figures_of
from cdp_assets.identity.judging.sources import (
    SharedPeople,
    SourceRates,
    Totals,
    source_rates,
    totals,
)
from cdp_assets.identity.labels import LabelledQuality, answers, quality
from cdp_assets.identity.rules import ObjectRules, Ruleset
from cdp_assets.identity.sections import Costs, ModelUse


@dataclass(frozen=True)
class AgainstTruth:
    """The published people beside a truth that no run reads."""

    evaluation: Evaluation
    people: Figures
    exact_rules: Figures
    curve: list[Point]
    """Empty where the ruleset uses no model."""


@dataclass(frozen=True)
class Judgement:
    """What is known of the published people, with and without a truth."""

    totals: Totals
    sources: list[SourceRates]
    shared: list[SharedPeople]
    answers: dict[str, int]
    """How many pairs people answered how."""
    on_labels: LabelledQuality
    clerical: Clerical | None
    """What the answers to a random sample say; none before there are any."""
    truth: AgainstTruth | None
    use: ModelUse | None
    costs: Costs | None
    asked: list[Asked]
    """The link weights that the costs ask for, the best founded first."""

    @property
    def costs_agree(self) -> bool:
        """Whether the link weight in force is about the one the costs ask for."""
        if not (self.costs and self.use and self.asked):
            return True
        off = abs(self.asked[0].link_weight - self.use.link_weight)
        return off <= self.costs.step


def judge(
    connection: duckdb.DuckDBPyConnection, ruleset: Ruleset, truth: Path
) -> Judgement:
    """Judge the published people by what there is: a truth, labels, their sources.

    Args:
        connection: The warehouse; reading is enough.
        ruleset: The ruleset in force.
        truth: CSV of ``source, record_id, entity_id``, which need not be there; traps
            are read from ``traps.csv`` beside it.
    """
    rules = ruleset.individual
    sources, shared = source_rates(connection)
    clerical = estimate(connection, rules.link_weight())
    against = _against(connection, truth, rules.model) if truth.exists() else None
    return Judgement(
        totals=totals(connection),
        sources=sources,
        shared=shared,
        answers=answers(connection),
        on_labels=quality(connection),
        clerical=clerical,
        truth=against,
        use=rules.model,
        costs=rules.costs,
        asked=list(_asked(connection, rules, against, clerical)),
    )


def _asked(
    connection: duckdb.DuckDBPyConnection,
    rules: ObjectRules,
    truth: AgainstTruth | None,
    clerical: Clerical | None,
) -> Iterator[Asked]:
    if not rules.costs:
        return
    if truth and truth.curve:
        yield asked_by_truth(truth.curve, rules.costs, rules.link_weight())
    if clerical and (asked := asked_by_answers(connection, rules.costs)):
        yield asked
    yield asked_by_model(rules.costs)


def _against(
    connection: duckdb.DuckDBPyConnection, truth: Path, use: ModelUse | None
) -> AgainstTruth:
    return AgainstTruth(
        evaluate(connection, truth, truth.with_name("traps.csv")),
        figures_of(connection, "truth_people"),
        figures_of(connection, "truth_exact"),
        curve(connection, "truth_record", use) if use else [],
    )
