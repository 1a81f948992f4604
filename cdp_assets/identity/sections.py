"""The sections of a ruleset, each checked by itself; ``rules.py`` joins them."""

import re
from typing import Literal

import pydantic

from cdp_assets.declarations import Declaration
from cdp_assets.identity.fields import Method

CannotLink = Literal[
    "birth_dates_conflict",
    "first_names_conflict",
    "suffixes_conflict",
    "suffix_on_one_side",
    "identifiers_conflict",
    "nothing_personal_agrees",
]


class Criterion(Declaration):
    """One attribute that two records must agree on."""

    field: str
    method: Method
    match_on_blank: bool = False
    case_sensitive: bool = False

    def finds_pairs(self) -> bool:
        """Whether equal values alone bring two records together."""
        return not self.match_on_blank and not self.method.startswith("fuzzy")


class MatchRule(Declaration):
    """Criteria that must all hold; any one rule that holds links two records.

    ``overruled_below`` lets the model object: a pair that satisfies the rule but whose
    match weight over all attributes lies below it is not linked. ``at_most`` leaves out
    values, taken together as they are spelt, that more records carry: namesakes of a
    common name are many people, whom nothing else in their records tells apart.
    """

    description: str = ""
    criteria: list[Criterion] = pydantic.Field(min_length=1, max_length=10)
    overruled_below: float | None = None
    at_most: int | None = pydantic.Field(default=None, ge=2)


class Block(Declaration):
    """Fields on which two records must agree for the model to compare them.

    ``at_most`` leaves out values carried by more records than that: namesakes of a
    common name are too many to compare, and the name alone would not link them.
    """

    fields: list[str] = pydantic.Field(min_length=1)
    at_most: int | None = pydantic.Field(default=None, ge=2)


class ModelUse(Declaration):
    """The probabilistic model: which pairs it scores and which scores link.

    ``file`` lies beside the ruleset; without one the model has to be handed over.
    ``needs_personal`` keeps the model from linking on what a whole household shares.
    """

    file: str | None = None
    needs_personal: bool = True
    keep_weight: float
    link_weight: float
    blocking: list[Block] = pydantic.Field(min_length=1)

    @pydantic.model_validator(mode="after")
    def _kept_reaches_linked(self) -> "ModelUse":
        if self.keep_weight > self.link_weight:
            raise ValueError(
                f"keep_weight {self.keep_weight} is above link_weight "
                f"{self.link_weight}: evidence must be kept from the lowest weight "
                "that links; set keep_weight to it or below"
            )
        return self


class Blocked(Declaration):
    """Values that say nothing about who somebody is."""

    values: list[str] = pydantic.Field(default_factory=list)
    patterns: list[str] = pydantic.Field(default_factory=list)

    @pydantic.field_validator("patterns")
    @classmethod
    def _readable(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            if re.search(r"\(\?[=!<]|\\[1-9]", pattern):
                raise ValueError(
                    f"{pattern!r} looks around or back; DuckDB's expressions (RE2) "
                    "cannot: write the alternatives out"
                )
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"{pattern!r} is no regular expression: {error}"
                ) from error
        return patterns


class SharedCap(Declaration):
    """When an identifier belongs to too many to identify anybody.

    More than ``records`` records under more than ``names`` different names, or more
    than ``records_in_any_case`` records whatever their names.
    """

    records: int = pydantic.Field(ge=2)
    names: int = pydantic.Field(ge=1)
    records_in_any_case: int = pydantic.Field(ge=2)


class Costs(Declaration):
    """What a wrong merge costs against a wrong split, in any unit.

    The evaluation says which link weight they ask for, and a check warns where that is
    more than ``step`` bits from the one in force; nobody is resolved by them.
    """

    false_merge: float = pydantic.Field(gt=0)
    false_split: float = pydantic.Field(gt=0)
    step: float = pydantic.Field(default=2.0, gt=0)


class Refinement(Declaration):
    """How groups that hold contradictions are taken apart.

    A pair contradicts when a hard fact says so, or when its weight, prior apart, lies
    below ``contradiction_weight``. ``join_weight`` is the average weight, prior apart,
    from which two parts are joined. Groups above ``largest_group`` are judged by their
    candidate pairs alone, because comparing all their pairs grows with the square; a
    pair that was not compared weighs ``unseen_weight``. With ``count_prior`` all these
    weights count the prior: 0 is then as likely one person as two. A part that fits two
    others which contradict each other, by averages no more than ``ambiguous_within``
    apart, is joined to neither; without it to the better one.
    """

    contradiction_weight: float = -6.0
    join_weight: float = 0.0
    largest_group: int = pydantic.Field(default=300, ge=3)
    unseen_weight: float = 0.0
    count_prior: bool = False
    ambiguous_within: float | None = pydantic.Field(default=None, ge=0)


class Gates(Declaration):
    """Limits that a result must keep before it is published.

    ``precision_on_labels`` is by how much the precision on labelled pairs may fall
    against what is published; it is judged from ``labels_needed`` such pairs on.
    """

    largest_person: int = pydantic.Field(ge=2)
    share_in_conflict: float = pydantic.Field(ge=0, le=1)
    pairs_of_one_value: int = pydantic.Field(ge=1)
    pairs: int = pydantic.Field(ge=1)
    consolidation_change: float = pydantic.Field(gt=0, le=1)
    ids_changed: float = pydantic.Field(gt=0, le=1)
    precision_on_labels: float = pydantic.Field(default=0.05, ge=0, le=1)
    labels_needed: int = pydantic.Field(default=50, ge=1)


class ReconciliationRule(Declaration):
    """Which value of several becomes the profile's; empty values never do."""

    method: Literal["source_priority", "most_frequent", "last_updated"]
    sources: list[str] = pydantic.Field(default_factory=list)

    @pydantic.model_validator(mode="after")
    def _sources_where_they_count(self) -> "ReconciliationRule":
        if (self.method == "source_priority") != bool(self.sources):
            raise ValueError(
                f"{self.method} and sources do not go together: source_priority "
                "lists its sources, the other methods have none"
            )
        if len(set(self.sources)) != len(self.sources):
            raise ValueError("sources names one source twice; keep the first mention")
        return self
