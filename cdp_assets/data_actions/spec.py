"""What a data action is: a condition that becomes true, and the message it causes.

Each YAML beside this module is an action. Its condition is written as a segment's is,
over ``profile``, every insight, ``segment.<name>`` (is the person a member) and
``run.as_of``; one that looks at events names the event as ``event``. ``audience`` says
for whom the message is: one to the ``person`` needs channel, purpose and consent; an
``internal`` one, about the person to our own people, needs none and has no ``contact``.
"""

import datetime as dt
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from cdp_assets.activation.destination_spec import (
    DestinationSpec,
    HttpSpec,
    Identifier,
    Retry,
)
from cdp_assets.activation.sendable import Sendable
from cdp_assets.activation.spec import (
    CONTACT,
    EMAIL,
    PHONE,
    RESERVED,
    ContactPoint,
    load_activations,
)
from cdp_assets.data_actions.sources import EVENT, SOURCES
from cdp_assets.declarations import (
    Declaration,
    DeclarationError,
    MisplacedError,
    nearest,
    read_declarations,
)
from cdp_assets.segments.expression import (
    Columns,
    ExpressionError,
    Sql,
    check_expression,
    read_expression,
)

SEGMENT = "segment"
PREVIOUS = "previous_"
# What a message is to a destination: something new.
OPERATION: Literal["add"] = "add"
_DURATION = re.compile(r"([1-9]\d{0,5}) (minute|hour|day)s?")


def duration(text: object) -> dt.timedelta:
    """Read ``30 minutes``, ``1 hour`` or ``7 days``."""
    found = _DURATION.fullmatch(str(text))
    if found is None:
        raise ValueError(
            f"{text!r} is no length of time: write one like 30 minutes, 1 hour, 7 days"
        )
    return dt.timedelta(**{f"{found[2]}s": int(found[1])})


Duration = Annotated[dt.timedelta, pydantic.BeforeValidator(duration)]


class DataActionSpec(Declaration):
    """One data action."""

    name: Identifier
    label: str
    description: str
    owner: str
    # A change of the person, or the arrival of an event.
    trigger: Literal["change", "engagement", "case", "order"]
    when: Sql
    # No second message about a person within it.
    cool_down: Duration | None = None
    # Events that happened longer ago are history, as of a backfill, and no arrival.
    max_age: Duration = dt.timedelta(days=1)
    # Who meets the condition already when the action is new: taken as given, or news.
    on_first_run: Literal["hold", "fire"] = "hold"
    audience: Literal["person", "internal"]
    channel: Literal["email", "sms", "phone"] | None = None
    purpose: Literal["marketing", "service", "analytics"] | None = None
    destination: DestinationSpec
    payload: dict[Identifier, Sql] = pydantic.Field(min_length=1)
    # Fields of the payload that are also sent as they were at the last look.
    previous: tuple[Identifier, ...] = ()
    retry: Retry = Retry()

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> "DataActionSpec":
        for name in ("channel", "purpose"):
            given = getattr(self, name) is not None
            if given is not (self.audience == "person"):
                raise MisplacedError(
                    "a message to the person needs it, because consent is asked for it"
                    if self.audience == "person"
                    else "no consent is asked where audience is internal; remove it",
                    name,
                )
        for name in self.payload:
            if name.lower() in RESERVED or name.lower().startswith((PREVIOUS, "_")):
                raise MisplacedError(
                    f"{name!r} is sent by itself; choose another name", "payload", name
                )
        for at, name in enumerate(self.previous):
            if name not in self.payload:
                raise MisplacedError(
                    f"{name!r} is no field of payload{nearest(name, self.payload)}",
                    "previous",
                    at,
                )
        if self.previous and self.is_on_event:
            raise MisplacedError(
                "an event has no earlier value; remove it, or write trigger: change",
                "previous",
            )
        return self

    @property
    def is_on_event(self) -> bool:
        """Whether it looks at arriving events, and not at changes of people."""
        return self.trigger != "change"

    @property
    def contact_point(self) -> ContactPoint | None:
        """The contact point that a message to the person goes to."""
        if self.channel is None:
            return None
        return EMAIL if self.channel == "email" else PHONE


@cache
def load_data_actions(folder: Path | None = None) -> dict[str, DataActionSpec]:
    """Every declared action by name, from ``folder`` (default: this package)."""
    return read_declarations(folder or Path(__file__).parent, DataActionSpec)


def load_senders() -> dict[str, Sendable]:
    """Whatever sends, by its name in the outbox: activations and data actions."""
    return {**load_activations(), **load_data_actions()}


def names_of(spec: DataActionSpec) -> frozenset[str]:
    """The tables that condition and payload name."""
    texts = (spec.when, *spec.payload.values())
    return frozenset().union(*(read_expression(text).aliases for text in texts))


def segments_of(spec: DataActionSpec) -> list[str]:
    """The segments whose membership condition or payload asks for."""
    return sorted(
        {
            column[1]
            for text in (spec.when, *spec.payload.values())
            for column in read_expression(text).columns
            if column[0] == SEGMENT
        }
    )


def check(
    spec: DataActionSpec,
    columns: Columns,
    segments: Collection[str],
    activations: Collection[str],
) -> None:
    """Bind condition and payload against empty tables.

    Args:
        spec: The action.
        columns: Per alias its columns, as ``namespace.profile_columns`` reads them.
        segments: The names of the declared segments.
        activations: The names of the declared activations.

    Raises:
        DeclarationError: Names the action's file, the field and what is wrong.
    """
    file = f"{spec.name}.yaml"
    if spec.name in activations:
        raise DeclarationError(
            f"{file}: name: there is an activation {spec.name!r}, and the outbox tells "
            "them apart by name; choose another"
        )
    _check_destination(spec, file)
    known = {**columns, SEGMENT: dict.fromkeys(sorted(segments), "boolean")}
    if spec.is_on_event:
        known[EVENT] = SOURCES[spec.trigger].columns
    kind = _bound(spec.when, known, f"{file}: when")
    if kind != "BOOLEAN":
        raise DeclarationError(
            f"{file}: when: is not a condition: it yields {kind}; compare it with "
            "something, so that it is true or false"
        )
    if spec.contact_point is not None:
        known[CONTACT] = {spec.contact_point.column: "varchar"}
    for field, sql in spec.payload.items():
        _bound(sql, known, f"{file}: payload.{field}")


def _check_destination(spec: DataActionSpec, file: str) -> None:
    """A template must take the fields of the payload; files and webhooks take any."""
    if not isinstance(spec.destination, HttpSpec):
        return
    from cdp_assets.activation.destinations.template import agree

    fields = (*spec.payload, *(f"{PREVIOUS}{name}" for name in spec.previous))
    try:
        agree(spec.destination, fields, (OPERATION,))
    except DeclarationError as error:
        raise DeclarationError(f"{file}: {error}") from None


def _bound(sql: str, known: Columns, place: str) -> str:
    try:
        return check_expression(read_expression(sql), known)
    except ExpressionError as error:
        raise DeclarationError(f"{place}: {error}") from None
