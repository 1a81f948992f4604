"""A match weight taken apart: the prior, each comparison, how frequent a value is.

The parts are computed from the model that weighed the pair, and add up to the stored
weight within the ten-thousandth of a bit to which it was rounded.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb


@dataclass(frozen=True)
class Part:
    """One summand of a match weight, in bits."""

    name: str
    said: str
    weight: float


@dataclass(frozen=True)
class Weighing:
    """The model that a weight came from: settings, and how frequent values are."""

    version: str
    settings: dict[str, Any]
    frequencies: dict[str, dict[str, float]]

    def parts(self, levels: list[int], pair: Sequence[dict[str, Any]]) -> list[Part]:
        """The summands of one pair.

        Args:
            levels: Per comparison the level that held; -1 for a missing value.
            pair: What the two records hold, by the name of the column.
        """
        prior = self.settings["probability_two_random_records_match"]
        parts = [Part("prior", "two random records", math.log2(prior / (1 - prior)))]
        for comparison, number in zip(
            self.settings["comparisons"], levels, strict=True
        ):
            name = comparison["output_column_name"].replace("_", " ")
            if number < 0:
                parts.append(Part(name, "not comparable", 0.0))
                continue
            level = _levels(comparison)[number]
            weight = math.log2(level["m_probability"] / level["u_probability"])
            parts.append(Part(name, level["label_for_charts"], weight))
            column = level.get("tf_adjustment_column")
            if column:
                values = [record.get(column) for record in pair]
                parts += self._frequency(name, comparison, level, values)
        return parts

    def _frequency(
        self,
        name: str,
        comparison: dict[str, Any],
        level: dict[str, Any],
        values: list[Any],
    ) -> Iterator[Part]:
        known = self.frequencies.get(level["tf_adjustment_column"], {})
        shares = {known[value]: value for value in values if value in known}
        if not shares:
            return
        # The more frequent of two values, as Splink takes it.
        value = shares[max(shares)]
        share = max(*shares, level.get("tf_minimum_u_value", 0.0))
        average = _exact_u(comparison, level)
        weight = level.get("tf_adjustment_weight", 1.0) * math.log2(average / share)
        yield Part(name, f"{value!r} is that of {share:.3%} of all", weight)


def read_weighing(
    connection: duckdb.DuckDBPyConnection, version: str | None
) -> Weighing | None:
    """The model of this version, as the warehouse keeps it."""
    rows = connection.execute(
        "select settings, frequencies from identity.match_model "
        "where model_version = ?",
        [version],
    ).fetchall()
    if not rows:
        return None
    settings, frequencies = rows[0]
    return Weighing(str(version), json.loads(settings), json.loads(frequencies or "{}"))


def _levels(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """The levels as evidence numbers them: 0 is the last resort."""
    return [
        level
        for level in reversed(comparison["comparison_levels"])
        if not level.get("is_null_level")
    ]


def _exact_u(comparison: dict[str, Any], level: dict[str, Any]) -> float:
    """How often two random records are equal there: what frequencies are held against.

    As Splink does, of the exact level where the adjusted one is another.
    """
    column = level["tf_adjustment_column"]
    equal = {f"{column}_l = {column}_r", f'"{column}_l" = "{column}_r"'}
    for each in comparison["comparison_levels"]:
        if each["sql_condition"] in equal:
            return float(each["u_probability"])
    return float(level["u_probability"])
