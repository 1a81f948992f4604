"""The ruleset: which records are one person or one company, as data.

Read from ``ruleset.yaml``. A ruleset that cannot work is refused when it is read, with
the rule and what would be right, never when a run is half done.
"""

import hashlib
import re
from pathlib import Path
from typing import ClassVar, Literal

import pydantic

from cdp_assets.declarations import (
    Declaration,
    DeclarationError,
    MisplacedError,
    nearest,
    read_declaration,
)
from cdp_assets.identity.fields import (
    ACCOUNT,
    BLOCKING_ONLY,
    INDIVIDUAL,
    MatchField,
    Method,
)
from cdp_assets.streams.spec import load_streams

RULESET = Path(__file__).with_name("ruleset.yaml")

CannotLink = Literal[
    "birth_dates_conflict",
    "first_names_conflict",
    "suffixes_conflict",
    "suffix_on_one_side",
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
    """The probabilistic model: which pairs it scores and which scores link."""

    file: str
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


class Refinement(Declaration):
    """How groups that hold contradictions are taken apart.

    A pair contradicts when a hard fact says so, or when its weight, prior apart, lies
    below ``contradiction_weight``. ``join_weight`` is the average weight, prior apart,
    from which two parts are joined. Groups above ``largest_group`` are judged by their
    evidence alone, because comparing all their pairs grows with the square.
    """

    contradiction_weight: float = -6.0
    join_weight: float = 0.0
    largest_group: int = pydantic.Field(default=300, ge=3)


class Gates(Declaration):
    """Limits that a result must keep before it is published."""

    largest_person: int = pydantic.Field(ge=2)
    share_in_conflict: float = pydantic.Field(ge=0, le=1)
    pairs_of_one_value: int = pydantic.Field(ge=1)
    pairs: int = pydantic.Field(ge=1)
    consolidation_change: float = pydantic.Field(gt=0, le=1)
    ids_changed: float = pydantic.Field(gt=0, le=1)


class ObjectRules(Declaration):
    """Everything that decides which records of one object are the same."""

    fields: ClassVar[dict[str, MatchField]] = {}

    match_rules: dict[str, MatchRule] = pydantic.Field(min_length=1, max_length=10)
    model: ModelUse | None = None
    cannot_link: list[CannotLink] = pydantic.Field(default_factory=list)
    blocked: dict[str, Blocked] = pydantic.Field(default_factory=dict)
    shared: dict[str, SharedCap] = pydantic.Field(default_factory=dict)
    refinement: Refinement = Refinement()
    gates: Gates

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "ObjectRules":
        for name, rule in self.match_rules.items():
            self._check_rule(name, rule)
        known = self.fields | BLOCKING_ONLY
        for place, block in enumerate(self.model.blocking if self.model else []):
            for field in block.fields:
                where = f"model.blocking {block.fields}"
                _known(where, field, known, "model", "blocking", place, "fields")
        for section in ("blocked", "shared"):
            for field in getattr(self, section):
                _known(section, field, self.fields, section, field)
        return self

    def _check_rule(self, name: str, rule: MatchRule) -> None:
        where, at = f"match rule {name!r}", ("match_rules", name)
        for place, criterion in enumerate(rule.criteria):
            self._check_criterion(where, criterion, *at, "criteria", place)
        if not any(criterion.finds_pairs() for criterion in rule.criteria):
            raise MisplacedError(
                f"{where}: needs a criterion by exact or "
                "exact_normalised without match_on_blank; without one every record "
                "would be compared with every other",
                *at,
            )
        if rule.overruled_below is not None and self.model is None:
            raise MisplacedError(
                f"{where}: overruled_below needs a model section; "
                "remove it or declare one",
                *at,
                "overruled_below",
            )

    def _check_criterion(
        self, where: str, criterion: Criterion, *at: str | int
    ) -> None:
        field = _known(where, criterion.field, self.fields, *at, "field")
        if criterion.method not in field.methods():
            raise MisplacedError(
                f"{where}: {criterion.field} cannot be compared by "
                f"{criterion.method}; use one of {', '.join(field.methods())}",
                *at,
                "method",
            )
        if criterion.case_sensitive and not (
            field.cased and criterion.method == "exact"
        ):
            raise MisplacedError(
                f"{where}: case_sensitive means nothing for {criterion.field} "
                f"by {criterion.method}; it goes with method exact on names, "
                "streets and cities",
                *at,
                "case_sensitive",
            )


class IndividualRules(ObjectRules):
    """Rules for people."""

    fields = INDIVIDUAL


class AccountRules(ObjectRules):
    """Rules for companies; deterministic only."""

    fields = ACCOUNT

    @pydantic.model_validator(mode="after")
    def _deterministic(self) -> "AccountRules":
        if self.model is not None or self.cannot_link:
            raise ValueError(
                "accounts are matched by rules alone; remove model and cannot_link"
            )
        return self


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


class Ruleset(Declaration):
    """One complete answer to "who is the same"."""

    name: str
    individual: IndividualRules
    account: AccountRules
    reconciliation: dict[
        Literal["individual", "account"], dict[str, ReconciliationRule]
    ]

    def version(self) -> str:
        """Changes with anything in the ruleset that can change who is the same."""
        text = self.model_dump_json(exclude={"reconciliation": True})
        return "ruleset-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def read_ruleset(path: Path = RULESET) -> Ruleset:
    """Read and check a ruleset.

    Raises:
        DeclarationError: It cannot work; names the file, the rule and the remedy.
    """
    ruleset = read_declaration(path, Ruleset)
    streams = load_streams()
    known = sorted({*streams, *(spec.source_system for spec in streams.values())})
    for name, fields in ruleset.reconciliation.items():
        for field, rule in fields.items():
            for source in rule.sources:
                if source not in known:
                    raise DeclarationError(
                        f"{path.name}: reconciliation.{name}.{field}.sources: no "
                        f"stream or system {source!r}{nearest(source, known)} "
                        f"(there are {', '.join(known)})"
                    )
    return ruleset


def _known(
    where: str, field: str, fields: dict[str, MatchField], *at: str | int
) -> MatchField:
    if field not in fields:
        raise MisplacedError(
            f"{where}: no field {field!r}{nearest(field, fields)}; use one of "
            f"{', '.join(sorted(fields))}",
            *at,
        )
    return fields[field]
