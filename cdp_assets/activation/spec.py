"""What an activation is: a segment, a destination, a mapping, a channel and a purpose.

Each YAML beside this module is an activation. ``contact`` in its mapping holds the one
contact point of the channel, the one whose consent is asked at the moment of sending;
a mapping cannot send another one along.
"""

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Literal

import pydantic

from cdp_assets.activation.destination_spec import (
    DestinationSpec,
    Filed,
    HttpSpec,
    Identifier,
    Retry,
    SqlSpec,
)
from cdp_assets.declarations import (
    Declaration,
    DeclarationError,
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
from cdp_assets.segments.windows import length
from cdp_assets.streams.spec import load_streams

CONTACT = "contact"
# Columns that every destination gets beside the mapping.
RESERVED = ("idempotency_key", "operation", "unified_individual_id")

Operation = Literal["add", "update", "remove", "alias"]


def operations_of(destination: DestinationSpec | None) -> tuple[Operation, ...]:
    """What is sent to a destination whose activation does not say."""
    usual: tuple[Operation, ...] = ("add", "update", "remove")
    if isinstance(destination, HttpSpec):
        from cdp_assets.activation.destinations.template import load_templates

        # One that there is not is refused by ``check_destination``.
        template = load_templates().get(destination.template)
        has_alias = template is not None and "alias" in template.operations
    else:
        has_alias = isinstance(destination, SqlSpec)
    return (*usual, "alias") if has_alias else usual


class Caps(Declaration):
    """Above these a plan is held until somebody releases it."""

    # Changes of one plan.
    max_rows: int | None = pydantic.Field(default=None, gt=0)
    # Of the people the destination holds, the share that one plan changes.
    max_share_changed: float | None = pydantic.Field(default=None, gt=0, le=1)


class ContactPoint(Declaration):
    """Where the contact point of a channel is found in schema ``unified``."""

    type: Literal["email", "phone"]
    table: str
    column: str
    usable: str


EMAIL = ContactPoint(
    type="email",
    table="unified_contact_point_email",
    column="email_address",
    usable="not coalesce(is_undeliverable, false)",
)
PHONE = ContactPoint(
    type="phone",
    table="unified_contact_point_phone",
    column="formatted_e164_phone_number",
    usable="formatted_e164_phone_number is not null",
)


class ActivationSpec(Declaration):
    """One activation: which people's changes go where, as what, and on which ground."""

    name: Identifier
    label: str
    description: str
    owner: str
    segment: Identifier
    destination: DestinationSpec
    channel: Literal["email", "sms", "phone"]
    purpose: Literal["marketing", "service", "analytics"]
    # full: once each full_every everybody is sent again, and changes in between.
    mode: Literal["delta", "full"] = "delta"
    full_every: str = "1 day"
    # Default: an alias only where the destination has a word for it.
    operations: tuple[Operation, ...] = pydantic.Field(
        default_factory=lambda given: operations_of(given.get("destination"))
    )
    mapping: dict[Identifier, Sql] = pydantic.Field(min_length=1)
    # Streams whose contact points come before others, the first one first.
    contact_sources: tuple[Identifier, ...] = ()
    caps: Caps = Caps()
    retry: Retry = Retry()

    @pydantic.field_validator("operations")
    @classmethod
    def _an_alias_has_an_update(
        cls, operations: tuple[Operation, ...]
    ) -> tuple[Operation, ...]:
        """What an alias leaves of the living person, only an update can put right."""
        if "alias" in operations and "update" not in operations:
            right = ", ".join(("update", *operations))
            raise ValueError(
                "an 'alias' joins two people, and only an 'update' tells who they are "
                f"then; write [{right}], or leave out 'alias'"
            )
        return operations

    @pydantic.field_validator("mapping")
    @classmethod
    def _names_are_free(cls, mapping: dict[str, str]) -> dict[str, str]:
        taken = [name for name in mapping if name.lower() in RESERVED]
        if taken:
            raise ValueError(
                f"{taken[0]!r} is sent with every change already; choose another name"
            )
        return mapping

    @pydantic.field_validator("full_every")
    @classmethod
    def _full_every_is_a_length(cls, text: str) -> str:
        length(text)
        return text

    @property
    def contact_point(self) -> ContactPoint:
        """The contact point that the channel reaches people at."""
        return EMAIL if self.channel == "email" else PHONE


def check_destination(spec: ActivationSpec) -> None:
    """Check that the destination can be given what the activation sends.

    Raises:
        DeclarationError: Names the activation's file, the field and what is wrong.
    """
    if isinstance(spec.destination, Filed) and "alias" in spec.operations:
        raise DeclarationError(
            f"{spec.name}.yaml: operations: a file has no column for an 'alias'; write "
            "operations: [add, update, remove] or fewer"
        )
    if not isinstance(spec.destination, HttpSpec):
        return
    from cdp_assets.activation.destinations.template import agree

    try:
        agree(spec.destination, tuple(spec.mapping), spec.operations)
    except DeclarationError as error:
        raise DeclarationError(f"{spec.name}.yaml: {error}") from None


@cache
def load_activations(folder: Path | None = None) -> dict[str, ActivationSpec]:
    """Every declared activation by name, from ``folder`` (default: this package)."""
    return read_declarations(folder or Path(__file__).parent, ActivationSpec)


def check(spec: ActivationSpec, columns: Columns, segments: Collection[str]) -> None:
    """Check the segment's name, and bind every mapping against empty tables.

    Args:
        spec: The activation.
        columns: Per alias its columns, as ``namespace.profile_columns`` reads them.
        segments: The names of the declared segments.

    Raises:
        DeclarationError: Names the activation's file, the field and what is wrong.
    """
    if spec.segment not in segments:
        raise DeclarationError(
            f"{spec.name}.yaml: segment: there is no segment {spec.segment!r}; "
            f"there are {', '.join(sorted(segments))}"
        )
    check_destination(spec)
    _check_sources(spec)
    # A payload that holds the time of the run would change every person in every run.
    known = {alias: columns[alias] for alias in columns if alias != "run"}
    known[CONTACT] = {spec.contact_point.column: "varchar"}
    for field, sql in spec.mapping.items():
        try:
            check_expression(read_expression(sql), known)
        except ExpressionError as error:
            raise DeclarationError(
                f"{spec.name}.yaml: mapping.{field}: {error}"
            ) from None


def _check_sources(spec: ActivationSpec) -> None:
    for stream in spec.contact_sources:
        if stream not in (known := load_streams()):
            raise DeclarationError(
                f"{spec.name}.yaml: contact_sources: there is no stream {stream!r}"
                f"{nearest(stream, known)}"
            )
