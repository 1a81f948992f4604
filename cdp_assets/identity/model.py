"""The probabilistic model: what is compared, level by level, and the trained weights.

The comparisons are ours; their weights come from ``match_model.json``, which
``cdp identity train`` writes. A model file is one immutable version: its name is
the digest of its content, and every piece of evidence carries it.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdp_assets.declarations import DeclarationError
from cdp_assets.identity.comparisons import COMPARISONS
from cdp_assets.identity.rules import RULESET

COLUMNS = [
    "node_id", "first_name", "first_name_canonical", "first_name_forms",
    "first_name_sound", "first_name_known", "last_name", "last_name_words",
    "birth_date", "birth_year", "emails", "mailboxes", "phones", "streets",
    "postal_codes", "cities", "gender",
]  # fmt: skip

# A household shares its last name, street and landline. Without one of these levels in
# common two of its records are two people, whatever the rest weighs.
PERSONAL = {
    "first_name": {
        "same", "nickname or one of several", "first and last swapped", "initial",
        "another spelling", "short form", "one typo", "similar",
    },
    "birth_date": {"same", "day and month swapped"},
    "email": {"same", "same mailbox elsewhere", "one typo"},
}  # fmt: skip

# Agreeing on a rare name says more than on a common one.
WEIGHED_BY_FREQUENCY = ["first_name", "last_name"]

# A column of one side of a pair, as conditions name it.
_SIDED = re.compile(r"\b(\w+?)_[lr]\b")

# A prior for fewer records than this would link on a name alone.
_SMALLEST_STEP = 4**6


@dataclass(frozen=True)
class MatchModel:
    """A trained model: Splink's settings, and how frequent names are."""

    version: str
    settings: dict[str, Any]
    matches_per_record: float
    frequencies: dict[str, dict[str, float]]
    one_size: bool = False
    """Whether the prior is that of the very records it will be used on."""

    def for_records(self, records: int) -> "MatchModel":
        """The model for data of about this size.

        Among twice the records, two that agree by chance are twice as likely, so the
        prior follows the number of records. It does so in steps of four times: within
        a step new records change nobody else's weights, and a step is a model version
        of its own.
        """
        if self.one_size:
            return self
        step = max(_SMALLEST_STEP, 4 ** round(math.log(max(records, 1), 4)))
        prior = self.matches_per_record / step
        return MatchModel(
            f"{self.version}@{step}",
            {**self.settings, "probability_two_random_records_match": prior},
            self.matches_per_record,
            self.frequencies,
        )

    def columns(self) -> list[str]:
        """The columns of ``staged_matchable`` that the model compares."""
        named = {
            column
            for comparison in self.settings["comparisons"]
            for level in comparison["comparison_levels"]
            for column in _SIDED.findall(level["sql_condition"])
        }
        return ["node_id", *sorted(named | set(self.weighed_by_frequency()))]

    def weighed_by_frequency(self) -> list[str]:
        """The columns of which a rare value says more than a common one."""
        return sorted(
            {
                level["tf_adjustment_column"]
                for comparison in self.settings["comparisons"]
                for level in comparison["comparison_levels"]
                if level.get("tf_adjustment_column")
            }
        )

    def personal_levels(self) -> list[tuple[int, list[int]]]:
        """For each personal comparison its place in ``levels``, and those that count.

        Places count from one, as lists in SQL do.
        """
        found = []
        for place, (name, labels) in enumerate(self.level_labels().items(), start=1):
            personal = PERSONAL.get(name, set())
            counting = [n for n, label in enumerate(labels) if label in personal]
            if counting:
                found.append((place, counting))
        return found

    def prior_weight(self) -> float:
        """The weight two records have before anything of them is compared."""
        prior = float(self.settings["probability_two_random_records_match"])
        return math.log2(prior / (1 - prior))

    def level_weights(self) -> dict[str, dict[int, float]]:
        """Per comparison the weight of each level, numbered as in evidence.

        The highest number is the strongest level, 0 is the last resort; -1 stands for a
        missing value, which weighs nothing.
        """
        return {
            name: {
                number: math.log2(level["m_probability"] / level["u_probability"])
                for number, level in enumerate(levels)
            }
            for name, levels in self._levels()
        }

    def level_labels(self) -> dict[str, list[str]]:
        """Per comparison what each level is called, in the order of its number."""
        return {
            name: [level["label_for_charts"] for level in levels]
            for name, levels in self._levels()
        }

    def _levels(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for comparison in self.settings["comparisons"]:
            levels = reversed(comparison["comparison_levels"])
            yield (
                comparison["output_column_name"],
                [level for level in levels if not level.get("is_null_level")],
            )


def read_model(file: str | Path) -> MatchModel:
    """Read the model of this name beside the ruleset shipped, or of this path.

    Raises:
        DeclarationError: The file is no model.
    """
    text = (RULESET.parent / file).read_text(encoding="utf-8")
    try:
        content = json.loads(text)
        return MatchModel(
            f"model-{hashlib.sha256(text.encode()).hexdigest()[:12]}",
            content["settings"],
            content["matches_per_record"],
            content["frequencies"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DeclarationError(
            f"{Path(file).name} is no match model ({error!r}): expected settings, "
            "matches_per_record and frequencies, as training writes them"
        ) from None


def same_first_name() -> list[str]:
    """The conditions under which two first names are taken for one."""
    return [
        condition
        for label, condition in COMPARISONS["first_name"]
        if label not in {"one typo", "similar", "different"}
    ]


def untrained_settings() -> dict[str, Any]:
    """Splink settings of the comparisons above, without weights."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "node_id",
        "comparisons": [_comparison(name) for name in COMPARISONS],
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": True,
    }


def _comparison(name: str) -> dict[str, Any]:
    levels = []
    for label, condition in COMPARISONS[name]:
        level: dict[str, Any] = {
            "sql_condition": "ELSE" if condition == "else" else condition,
            "label_for_charts": label,
        }
        if label == "missing":
            level["is_null_level"] = True
        if label == "same" and name in WEIGHED_BY_FREQUENCY:
            level["tf_adjustment_column"] = name
        levels.append(level)
    return {"output_column_name": name, "comparison_levels": levels}
