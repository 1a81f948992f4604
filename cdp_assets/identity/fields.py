"""What a ruleset may name: the attributes of each object, and where nodes keep them.

A node keeps two forms of a value. The folded one serves ``exact_normalised`` and fuzzy
comparisons; the one as written serves ``exact``, which forgives capitals and nothing
else. Lists hold every contact point of a record; one in common is enough to match.
"""

from dataclasses import dataclass
from typing import Literal

Method = Literal["exact", "exact_normalised", "fuzzy_low", "fuzzy_medium", "fuzzy_high"]


@dataclass(frozen=True)
class MatchField:
    """Where ``identity.node`` keeps one attribute, and how it may be compared."""

    column: str
    many: bool = False
    written: str | None = None
    fuzzy: bool = False
    cased: bool = False

    def methods(self) -> list[str]:
        """The methods a criterion on this field may use."""
        fuzzy = ["fuzzy_low", "fuzzy_medium", "fuzzy_high"] if self.fuzzy else []
        return ["exact", "exact_normalised", *fuzzy]


INDIVIDUAL = {
    "first_name": MatchField(
        "first_name", written="as_written.first_name", fuzzy=True, cased=True
    ),
    "middle_name": MatchField(
        "middle_name", written="as_written.middle_name", cased=True
    ),
    "last_name": MatchField(
        "last_name", written="as_written.last_name", fuzzy=True, cased=True
    ),
    "name_suffix": MatchField("name_suffix"),
    "birth_date": MatchField("birth_date"),
    "email_address": MatchField("emails", many=True, written="as_written.emails"),
    "telephone_number": MatchField("phones", many=True),
    "party_identification": MatchField("identifiers", many=True),
    "address_line1": MatchField(
        "streets", many=True, written="as_written.streets", cased=True
    ),
    "city_name": MatchField(
        "cities", many=True, written="as_written.cities", cased=True
    ),
    "postal_code_text": MatchField("postal_codes", many=True),
    "country_id": MatchField("countries", many=True),
}

ACCOUNT = {
    "name": MatchField("full_name", written="as_written.full_name", cased=True),
    "website_domain": MatchField("website_domain"),
    "party_identification": MatchField("identifiers", many=True),
    "telephone_number": MatchField("phones", many=True),
    "address_line1": MatchField(
        "streets", many=True, written="as_written.streets", cased=True
    ),
    "city_name": MatchField(
        "cities", many=True, written="as_written.cities", cased=True
    ),
    "postal_code_text": MatchField("postal_codes", many=True),
    "country_id": MatchField("countries", many=True),
}

# Derived values that no rule compares but that bring pairs together for the model.
BLOCKING_ONLY = {
    "first_name_canonical": MatchField("first_name_canonical"),
    "full_name": MatchField("full_name"),
    "mailbox": MatchField("mailboxes", many=True),
    "local_part": MatchField("local_parts", many=True),
    "phone_tail": MatchField("phone_tails", many=True),
    "first_initial": MatchField("first_initial"),
    "last_name_sound": MatchField("last_name_sound"),
    "last_prefix": MatchField("last_prefix"),
    "birth_date": MatchField("birth_date"),
    "year_of_birth": MatchField("year_of_birth"),
    "day_of_birth": MatchField("day_of_birth"),
    "postal_area": MatchField("postal_area"),
    "attribute": MatchField("attribute_values", many=True),
    "word": MatchField("words", many=True),
    "word_pair": MatchField("word_pairs", many=True),
}

OBJECTS = {"individual": INDIVIDUAL, "account": ACCOUNT}
