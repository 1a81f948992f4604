"""The weights of one training, estimated by Splink; imported only where one trains."""

import contextlib
import logging
from typing import Any

import duckdb
import pyarrow as pa
from splink import DuckDBAPI, Linker, block_on
from splink.internals.comparison_level import ComparisonLevel
from splink.internals.exceptions import EMTrainingException

from cdp_assets.errors import OperatorError
from cdp_assets.identity.model import untrained_settings

# Ten million random pairs show what agrees once in a million; the seed makes the
# training repeatable.
_RANDOM_PAIRS = 10_000_000
_SEED = 1

# What has never been seen is taken to have been seen half a time.
_UNSEEN = 0.5

# Of the pairs of one person so many share an e-mail, or name and birth date.
_RECALL = 0.6

# What is agreed on in each pass, which learns about everything else.
_PASSES = (
    "l.emails[1] = r.emails[1]",
    "l.phones[1] = r.phones[1]",
    block_on("first_name", "last_name"),
    block_on("last_name", "birth_date"),
)

# Sums of floats differ in the last digits from machine to machine.
_DIGITS = 9


class _PossibleLevel(ComparisonLevel):
    """A level that no round of an estimation takes for impossible.

    A level that all true pairs of a pass lack halves its digits in every round:
    1e-2, 1e-9, 1e-54, and 0, which Splink refuses with a ValueError. On 1,200 records
    that is the rule.
    """

    least: float

    @property
    def m_probability(self) -> float | None:
        """How often the level is met within one person."""
        return super().m_probability

    @m_probability.setter
    def m_probability(self, value: float | str | None) -> None:
        seen = max(value, self.least) if isinstance(value, float) else value
        ComparisonLevel.m_probability.fset(self, seen)  # type: ignore[attr-defined]


def estimate(records: pa.Table) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Estimate the weights of every level, and tell how each pass converged.

    The same records give the same digits, in whatever order and on however many
    threads they were read: sums are made on one.

    Raises:
        OperatorError: There is nothing to learn from.
    """
    with contextlib.closing(duckdb.connect()) as private:
        private.execute("set threads = 1")
        linker = Linker(
            DuckDBAPI(private).register(records, dataset_display_name="record"),
            untrained_settings(),
            log_level=logging.ERROR,
        )
        linker.training.estimate_probability_two_random_records_match(
            [
                block_on("emails", arrays_to_explode=["emails"]),
                block_on("first_name", "last_name", "birth_date"),
            ],
            recall=_RECALL,
        )
        pairs = records.num_rows * (records.num_rows - 1) / 2
        prior = linker._settings_obj._probability_two_random_records_match
        if not prior:
            raise OperatorError(
                "no two records share an e-mail, or name and birth date: there is "
                "nothing to learn from; load the sources that overlap, or keep the "
                "model shipped"
            )
        least_m = _UNSEEN / max(prior * pairs, 1.0)
        _keep_possible(linker, least_m)
        linker.training.estimate_u_using_random_sampling(
            max_pairs=_RANDOM_PAIRS, seed=_SEED
        )
        convergence = _maximise(linker)
        settings: dict[str, Any] = linker.misc.save_model_to_json()
    # A random name of the training, which would make every training another version.
    del settings["linker_uid"]
    least_u = _UNSEEN / min(_RANDOM_PAIRS, pairs)
    settings["comparisons"] = [
        _settled(comparison, least_m, least_u)
        for comparison in settings["comparisons"]
        if any("m_probability" in level for level in comparison["comparison_levels"])
    ]
    return settings, convergence


def _keep_possible(linker: Linker, least: float) -> None:
    for comparison in linker._settings_obj.core_model_settings.comparisons:
        for level in comparison._comparison_levels_excluding_null:
            level.__class__ = _PossibleLevel
            level.least = least


def _maximise(linker: Linker) -> dict[str, list[float]]:
    """Run every pass that finds a pair; per pass the share of true ones by round."""
    convergence: dict[str, list[float]] = {}
    for agreed in _PASSES:
        with contextlib.suppress(EMTrainingException):
            session = (
                linker.training.estimate_parameters_using_expectation_maximisation(
                    agreed
                )
            )
            convergence[session._blocking_rule_for_training.blocking_rule_sql] = [
                round(each["probability_two_random_records_match"], _DIGITS)
                for each in session._lambda_history_records
            ]
    if not convergence:
        raise OperatorError(
            "no two records agree on an e-mail, a phone, a full name, or last name and "
            "birth date: there is nothing to learn from"
        )
    return convergence


def _settled(
    comparison: dict[str, Any], least_m: float, least_u: float
) -> dict[str, Any]:
    """The comparison with every level possible, in as many digits as are certain."""
    for level in comparison["comparison_levels"]:
        if level.get("is_null_level"):
            continue
        for name, least in (("m_probability", least_m), ("u_probability", least_u)):
            value = max(level.get(name, least), least)
            level[name] = float(f"{value:.{_DIGITS}g}")
    return comparison
