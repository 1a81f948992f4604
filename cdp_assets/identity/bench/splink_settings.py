"""What was estimated of one file, in the words of Splink's settings."""

from typing import Any

from cdp_assets.identity.bench.estimation import Estimate
from cdp_assets.identity.bench.profile import frequency_column
from cdp_assets.identity.bench.texts import Levels
from cdp_assets.identity.model import MatchModel


def in_splinks_words(
    comparisons: dict[str, Levels],
    frequencies: dict[str, dict[str, float]],
    estimate: Estimate | None,
    records: int,
) -> MatchModel:
    """The model in Splink's words."""
    settings: dict[str, Any] = {
        "link_type": "dedupe_only",
        "unique_id_column_name": "node_id",
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": True,
        "comparisons": [
            {
                "output_column_name": name,
                "comparison_levels": [
                    _splink_level(
                        name,
                        levels,
                        number,
                        place,
                        estimate,
                        weigh_frequency=len(comparisons) > 1,
                    )
                    for number, _ in enumerate(levels)
                ],
            }
            for place, (name, levels) in enumerate(comparisons.items())
        ],
    }
    matches = 0.0
    if estimate:
        matches = estimate.matches
        settings["probability_two_random_records_match"] = matches / (
            records * (records - 1) / 2
        )
    return MatchModel("bench", settings, matches, frequencies, one_size=True)


def _splink_level(
    name: str,
    levels: Levels,
    number: int,
    place: int,
    estimate: Estimate | None,
    *,
    weigh_frequency: bool,
) -> dict[str, Any]:
    label, condition = levels[number]
    level: dict[str, Any] = {
        "sql_condition": "ELSE" if condition == "else" else condition,
        "label_for_charts": label,
    }
    if number == 0:
        return level | {"is_null_level": True}
    # How rare a value is says nothing of chance where it is all there is.
    column = frequency_column(name, label) if weigh_frequency else None
    if column:
        level["tf_adjustment_column"] = column
    if estimate:
        rank = len(levels) - 1 - number
        level["m_probability"] = float(f"{estimate.m[place][rank]:.6g}")
        level["u_probability"] = float(f"{estimate.u[place][rank]:.6g}")
    return level
