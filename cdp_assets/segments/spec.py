"""What a segment is: a name, an owner and a SQL condition over one person.

Each YAML beside this module is a segment, and each step of a waterfall. The text is
parsed when it is read, and ``check`` binds it against the columns of the profile and
its insights when the code location loads, so that a wrong name is an error then and not
an empty segment later.
"""

import datetime as dt
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import pydantic

from cdp_assets.declarations import (
    Declaration,
    DeclarationError,
    identifier,
    read_declarations,
)
from cdp_assets.segments.expression import (
    Columns,
    Expression,
    ExpressionError,
    Sql,
    check_expression,
    read_expression,
)
from cdp_assets.segments.namespace import PROFILE, RUN
from cdp_assets.segments.nesting import SEGMENT, in_order, membership_columns
from cdp_assets.segments.ranking import Limit
from cdp_assets.segments.waterfall import load_waterfalls
from cdp_assets.segments.windows import ENGAGEMENT, Window, length, window_columns

Identifier = Annotated[str, pydantic.AfterValidator(identifier)]
ON_CHANGE = "on_change"
_EVERY = re.compile(r"every (.+)")


class SegmentSpec(Declaration):
    """One segment: who belongs to it."""

    name: Identifier
    label: str
    description: str
    owner: str
    condition: Sql
    engagement: dict[Identifier, Window] = pydantic.Field(default_factory=dict)
    limit: Limit | None = None
    # With every run, or with the first run of each such period.
    evaluate: str = ON_CHANGE

    @pydantic.field_validator("name")
    @classmethod
    def _name_is_lower_case(cls, name: str) -> str:
        # SQL folds segment.NAME, and two names that differ in case only would be one.
        if name != name.lower():
            raise ValueError(f"write it in lower case: {name.lower()}")
        return name

    @pydantic.field_validator("evaluate")
    @classmethod
    def _evaluate_is_known(cls, text: str) -> str:
        found = _EVERY.fullmatch(text)
        if text != ON_CHANGE and found is None:
            raise ValueError(
                f"{text!r} is neither {ON_CHANGE} nor a period such as every 6 hours"
            )
        if found is not None:
            length(found[1])
        return text

    @property
    def period(self) -> dt.timedelta | None:
        """How long an evaluation stands; None where each run makes a new one."""
        found = _EVERY.fullmatch(self.evaluate)
        return length(found[1]) if found else None

    def expressions(self) -> dict[str, Expression]:
        """Every expression of it, by the field that it stands in."""
        limited = self.limit.expressions() if self.limit else {}
        return {"condition": read_expression(self.condition)} | {
            f"limit.{key}": value for key, value in limited.items()
        }

    @property
    def aliases(self) -> frozenset[str]:
        """Every table that it needs."""
        return frozenset().union(*(e.aliases for e in self.expressions().values()))

    @property
    def inner(self) -> frozenset[str]:
        """The segments that it names."""
        return frozenset(
            names[1]
            for expression in self.expressions().values()
            for names in expression.columns
            if names[0] == SEGMENT
        )


@cache
def load_segments(folder: Path | None = None) -> dict[str, SegmentSpec]:
    """Every declared segment by name, inner ones before those that name them.

    Args:
        folder: Where the declarations are; default this package.

    Raises:
        DeclarationError: A file cannot be used, or a segment contains itself.
    """
    place = folder or Path(__file__).parent
    found = read_declarations(place, SegmentSpec)
    for waterfall in load_waterfalls(place).values():
        for declared in waterfall.declared_segments():
            spec = SegmentSpec.model_validate(declared)
            if spec.name in found:
                raise DeclarationError(
                    f"{waterfall.name}.yaml: its step {spec.name!r} is a segment of "
                    "its own already; rename one of them"
                )
            found[spec.name] = spec
    order = in_order({name: spec.inner for name, spec in found.items()})
    return {name: found[name] for name in order}


def check(spec: SegmentSpec, columns: Columns, segments: Collection[str] = ()) -> None:
    """Bind every expression against empty tables.

    Args:
        spec: The segment.
        columns: Per alias its columns, as ``namespace.profile_columns`` reads them.
        segments: The names that ``segment.…`` may have.

    Raises:
        DeclarationError: Names the segment's file and what is wrong: an unknown table
            or column, or an expression that is not a condition.
    """
    known = named_columns(spec, columns, segments)
    for field, expression in spec.expressions().items():
        try:
            kind = check_expression(expression, known)
        except ExpressionError as error:
            raise DeclarationError(f"{spec.name}.yaml: {field}: {error}") from None
        if field == "condition" and kind != "BOOLEAN":
            raise DeclarationError(
                f"{spec.name}.yaml: condition: is not a condition: it yields {kind}; "
                "compare it with something, so that it is true or false"
            )


def named_columns(
    spec: SegmentSpec, columns: Columns, segments: Collection[str]
) -> Mapping[str, Mapping[str, str]]:
    """``columns``, and those of the segments and windows that ``spec`` may name."""
    known = dict(columns)
    run = {RUN: known.pop(RUN)} if RUN in known else {}
    others = [name for name in segments if name != spec.name]
    if others:
        known[SEGMENT] = membership_columns(others)
    if spec.engagement:
        known[ENGAGEMENT] = window_columns(spec.engagement)
    return known | run


def insight_aliases(spec: SegmentSpec) -> frozenset[str]:
    """The profile and the insights that it reads."""
    return (spec.aliases | {PROFILE}) - {RUN, SEGMENT, ENGAGEMENT}
