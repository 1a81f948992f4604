"""The ruleset: which records are one person or one company, as data.

Read from ``ruleset.yaml``. A ruleset that cannot work is refused when it is read, with
the rule and what would be right, never when a run is half done.
"""

import hashlib
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
)
from cdp_assets.identity.sections import (
    Blocked,
    CannotLink,
    Costs,
    Criterion,
    Gates,
    MatchRule,
    ModelUse,
    ReconciliationRule,
    Refinement,
    SharedCap,
)
from cdp_assets.streams.spec import load_streams

RULESET = Path(__file__).with_name("ruleset.yaml")


class ObjectRules(Declaration):
    """Everything that decides which records of one object are the same."""

    fields: ClassVar[dict[str, MatchField]] = {}

    match_rules: dict[str, MatchRule] = pydantic.Field(min_length=1, max_length=10)
    model: ModelUse | None = None
    cannot_link: list[CannotLink] = pydantic.Field(default_factory=list)
    blocked: dict[str, Blocked] = pydantic.Field(default_factory=dict)
    shared: dict[str, SharedCap] = pydantic.Field(default_factory=dict)
    refinement: Refinement = Refinement()
    costs: Costs | None = None
    gates: Gates

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "ObjectRules":
        for name, rule in self.match_rules.items():
            self._check_rule(name, rule)
        if self.costs and self.model is None:
            raise MisplacedError(
                "costs are weighed at the model's link_weight; remove them or declare "
                "a model",
                "costs",
            )
        known = self.fields | BLOCKING_ONLY
        for place, block in enumerate(self.model.blocking if self.model else []):
            for field in block.fields:
                where = f"model.blocking {block.fields}"
                _known(where, field, known, "model", "blocking", place, "fields")
        for section in ("blocked", "shared"):
            for field in getattr(self, section):
                _known(section, field, self.fields, section, field)
        return self

    def link_weight(self) -> float:
        """The match weight from which the model links; 0 where there is none."""
        return self.model.link_weight if self.model else 0.0

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
    """Rules for companies."""

    fields = ACCOUNT

    @pydantic.model_validator(mode="after")
    def _without_facts_of_people(self) -> "AccountRules":
        if self.cannot_link:
            raise MisplacedError(
                "companies have neither birth dates nor first names; remove it",
                "cannot_link",
            )
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
        text = self.model_dump_json(
            exclude={
                "reconciliation": True,
                "individual": {"costs"},
                "account": {"costs"},
            }
        )
        return "ruleset-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def read_ruleset(path: Path = RULESET) -> Ruleset:
    """Read and check a ruleset.

    Raises:
        DeclarationError: It cannot work; names the file, the rule and the remedy.
    """
    ruleset = read_declaration(path, Ruleset)
    find_models(path, ruleset)
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


def find_models(path: Path, ruleset: Ruleset) -> None:
    """Refuse a model that lies neither beside this ruleset nor the one shipped.

    Raises:
        DeclarationError: Names the file and what is there.
    """
    for name in ("individual", "account"):
        use = getattr(ruleset, name).model
        folders = [path.parent, RULESET.parent]
        if use and use.file and not any((each / use.file).exists() for each in folders):
            there = sorted(
                file.name for each in folders for file in each.glob("*.json")
            )
            raise DeclarationError(
                f"{path.name}: {name}.model.file: no model {use.file!r}"
                f"{nearest(use.file, there)}; put the file that `cdp identity train` "
                f"wrote beside {path.name}, or name it with its whole path"
            )


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
