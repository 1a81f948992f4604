"""The probabilistic model: what is compared, level by level, and the trained weights.

The comparisons are ours; their weights come from ``match_model.json``, which
``cdp_assets.identity.train`` writes. A model file is one immutable version: its name is
the digest of its content, and every piece of evidence carries it.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from cdp_assets.identity.rules import RULESET

# Comparisons; of each the first level that holds counts. Every condition is symmetric,
# or the result would depend on which record is on the left. Edit distances cost five
# times a Jaro-Winkler, which therefore goes first and spares most of them.
_SWAPPED = "first_name_l = last_name_r and last_name_l = first_name_r"
# Two names that many people bear are two names, however alike: Lena and Lea, Peter and
# Petra. A typo makes a name that hardly anybody bears.
_BOTH_KNOWN = "(first_name_known_l and first_name_known_r)"
# Thmoas is like Thomas, and so are both of them like Tommy, who is Thomas in full.
FIRST_NAME_SIMILARITY = (
    "greatest(jaro_winkler_similarity(first_name_l, first_name_r), "
    "jaro_winkler_similarity(first_name_canonical_l, first_name_canonical_r))"
)
# Flo is Florian, Lisa Elisabeth; but one last letter more is Daniela, not Daniel.
_SHORT_FORM = (
    "least(length(first_name_l), length(first_name_r)) > 1 "
    "and (starts_with(first_name_sound_l, first_name_sound_r) "
    "or starts_with(first_name_sound_r, first_name_sound_l) "
    "or (least(length(first_name_l), length(first_name_r)) > 3 "
    "and (contains(first_name_l, first_name_r) "
    "or contains(first_name_r, first_name_l)))) "
    f"and not ({_BOTH_KNOWN} and abs(length(first_name_l) - length(first_name_r)) = 1)"
)
_SAME_PLACE = (
    "(list_has_any(postal_codes_l, postal_codes_r) or list_has_any(cities_l, cities_r))"
)
COMPARISONS: dict[str, list[tuple[str, str]]] = {
    "first_name": [
        ("missing", "first_name_l is null or first_name_r is null"),
        # Before "same", or two people of the same initial would bear the same name.
        (
            "initial",
            "least(length(first_name_l), length(first_name_r)) = 1 "
            "and (first_name_l[1] = first_name_r[1] "
            "or first_name_canonical_l[1] = first_name_canonical_r[1])",
        ),
        ("same", "first_name_l = first_name_r"),
        (
            "nickname or one of several",
            "list_has_any(first_name_forms_l, first_name_forms_r)",
        ),
        ("first and last swapped", _SWAPPED),
        ("another spelling", "first_name_sound_l = first_name_sound_r"),
        ("short form", _SHORT_FORM),
        ("one typo", f"{FIRST_NAME_SIMILARITY} >= 0.9 and not {_BOTH_KNOWN}"),
        ("similar", f"{FIRST_NAME_SIMILARITY} >= 0.8 and not {_BOTH_KNOWN}"),
        ("different", "else"),
    ],
    "last_name": [
        # Swapped names are counted once, by the comparison of first names.
        ("missing", f"last_name_l is null or last_name_r is null or ({_SWAPPED})"),
        ("same", "last_name_l = last_name_r"),
        ("one of several", "list_has_any(last_name_words_l, last_name_words_r)"),
        ("one typo", "jaro_winkler_similarity(last_name_l, last_name_r) >= 0.92"),
        ("similar", "jaro_winkler_similarity(last_name_l, last_name_r) >= 0.85"),
        ("different", "else"),
    ],
    # Many people put the year of their birth into their mailbox. It stands in for a
    # date that is missing, unless both years come from one and the same address.
    "birth_date": [
        (
            "missing",
            "(birth_date_l is null or birth_date_r is null) "
            "and (birth_year_l is null or birth_year_r is null "
            "or list_has_any(emails_l, emails_r))",
        ),
        ("same", "birth_date_l = birth_date_r"),
        (
            "day and month swapped",
            "year(birth_date_l) = year(birth_date_r) "
            "and month(birth_date_l) = day(birth_date_r) "
            "and day(birth_date_l) = month(birth_date_r)",
        ),
        (
            "a month apart, or two of day, month and year",
            "abs(birth_date_l - birth_date_r) <= 31 "
            "or cast(year(birth_date_l) = year(birth_date_r) as integer) "
            "+ cast(month(birth_date_l) = month(birth_date_r) as integer) "
            "+ cast(day(birth_date_l) = day(birth_date_r) as integer) = 2",
        ),
        (
            "different",
            "birth_date_l is not null and birth_date_r is not null",
        ),
        ("same year in mailbox", "birth_year_l = birth_year_r"),
        ("other year in mailbox", "else"),
    ],
    # Most mailboxes are made of the name, which is compared already: the same one at
    # another provider says something only where it holds a number of its own.
    "email": [
        ("missing", "len(emails_l) = 0 or len(emails_r) = 0"),
        ("same", "list_has_any(emails_l, emails_r)"),
        ("same mailbox elsewhere", "list_has_any(mailboxes_l, mailboxes_r)"),
        (
            "one typo",
            "jaro_winkler_similarity(emails_l[1], emails_r[1]) >= 0.92 "
            "and damerau_levenshtein(emails_l[1], emails_r[1]) = 1",
        ),
        ("different", "else"),
    ],
    "phone": [
        ("missing", "len(phones_l) = 0 or len(phones_r) = 0"),
        ("same", "list_has_any(phones_l, phones_r)"),
        (
            "one digit",
            "jaro_winkler_similarity(phones_l[1], phones_r[1]) >= 0.92 "
            "and damerau_levenshtein(phones_l[1], phones_r[1]) <= 1",
        ),
        ("different", "else"),
    ],
    "address": [
        (
            "missing",
            "(len(postal_codes_l) = 0 or len(postal_codes_r) = 0) "
            "and (len(cities_l) = 0 or len(cities_r) = 0)",
        ),
        (
            "same street and place",
            f"list_has_any(streets_l, streets_r) and {_SAME_PLACE}",
        ),
        (
            "similar street, same place",
            f"jaro_winkler_similarity(streets_l[1], streets_r[1]) >= 0.9 "
            f"and {_SAME_PLACE}",
        ),
        ("same postal code", "list_has_any(postal_codes_l, postal_codes_r)"),
        ("same city", "list_has_any(cities_l, cities_r)"),
        ("different", "else"),
    ],
    "gender": [
        ("missing", "gender_l is null or gender_r is null"),
        ("same", "gender_l = gender_r"),
        ("different", "else"),
    ],
}

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

# A prior for fewer records than this would link on a name alone.
_SMALLEST_STEP = 4**6


@dataclass(frozen=True)
class MatchModel:
    """A trained model: Splink's settings, and how frequent names are."""

    version: str
    settings: dict[str, Any]
    matches_per_record: float
    frequencies: dict[str, dict[str, float]]

    def for_records(self, records: int) -> "MatchModel":
        """The model for data of about this size.

        Among twice the records, two that agree by chance are twice as likely, so the
        prior follows the number of records. It does so in steps of four times: within
        a step new records change nobody else's weights, and a step is a model version
        of its own.
        """
        step = max(_SMALLEST_STEP, 4 ** round(math.log(max(records, 1), 4)))
        prior = self.matches_per_record / step
        return MatchModel(
            f"{self.version}@{step}",
            {**self.settings, "probability_two_random_records_match": prior},
            self.matches_per_record,
            self.frequencies,
        )

    def prior_weight(self) -> float:
        """The weight two records have before anything of them is compared."""
        prior = float(self.settings["probability_two_random_records_match"])
        return math.log2(prior / (1 - prior))

    def level_weights(self) -> dict[str, dict[int, float]]:
        """Per comparison the weight of each level, numbered as in evidence.

        The highest number is the strongest level, 0 is the last resort; -1 stands for a
        missing value, which weighs nothing.
        """
        weights = {}
        for comparison in self.settings["comparisons"]:
            levels = [
                level
                for level in reversed(comparison["comparison_levels"])
                if not level.get("is_null_level")
            ]
            weights[comparison["output_column_name"]] = {
                number: math.log2(level["m_probability"] / level["u_probability"])
                for number, level in enumerate(levels)
            }
        return weights


def read_model(file: str) -> MatchModel:
    """Read the model that lies beside the ruleset."""
    text = RULESET.with_name(file).read_text(encoding="utf-8")
    content = json.loads(text)
    return MatchModel(
        f"model-{hashlib.sha256(text.encode()).hexdigest()[:12]}",
        content["settings"],
        content["matches_per_record"],
        content["frequencies"],
    )


def personal_levels() -> list[tuple[int, list[int]]]:
    """For each personal comparison its place in ``levels``, and the levels that count.

    Places count from one, as lists in SQL do.
    """
    found = []
    for place, (name, levels) in enumerate(COMPARISONS.items(), start=1):
        labels = [label for label, _ in reversed(levels) if label != "missing"]
        counting = [
            number
            for number, label in enumerate(labels)
            if label in PERSONAL.get(name, ())
        ]
        if counting:
            found.append((place, counting))
    return found


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
