"""What a JSON-over-HTTP destination is: requests, authorisation, and what answers mean.

Each YAML in this folder is one; ``kind: http`` of an activation names it. A request
serves some operations; a batch whose changes need several is sent as several.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from cdp_assets.activation.destination_spec import (
    BatchLimit,
    HttpSpec,
    Identifier,
    interval,
)
from cdp_assets.activation.destinations.templating import check, check_body
from cdp_assets.declarations import (
    Declaration,
    DeclarationError,
    nearest,
    read_declarations,
)

Expression = Annotated[str, pydantic.AfterValidator(check)]
Body = Annotated[Any, pydantic.AfterValidator(check_body)]
Outcome = Literal["delivered", "rejected", "failed", "unavailable"]
OperationName = Literal["add", "update", "remove", "alias"]


class Bearer(Declaration):
    """A fixed token from the environment."""

    kind: Literal["bearer"]
    token: Expression


class Basic(Declaration):
    """User and password, of which one may be empty."""

    kind: Literal["basic"]
    user: Expression
    password: Expression = ""


class OAuth(Declaration):
    """A token asked for at an address, kept until shortly before it expires."""

    kind: Literal["oauth"]
    grant: Literal["client_credentials", "refresh_token"]
    url: Expression
    encoding: Literal["json", "form"] = "form"
    # Beside grant_type: client_id, client_secret and whatever else is asked for.
    body: dict[str, Expression]


class NoAuthorisation(Declaration):
    """The address or the body carries the secret."""

    kind: Literal["none"]


class AnswerRule(Declaration):
    """What an answer means; of a batch that is refused the halves are sent apart."""

    when: Expression
    outcome: Outcome


class RowErrors(Declaration):
    """Where an answer names single changes that were refused."""

    statuses: tuple[int, ...] = (200, 201, 202, 207)
    each: Expression
    # What the answer's entry names, and the same of a change. The key may be a list.
    names: Expression
    change: Expression = "{{ change.key }}"
    # A short code without content; what does not look like one is not kept.
    reason: Expression = ""
    rejected: Expression = "{{ true }}"


class Request(Declaration):
    """One call: for which operations, where to, with what."""

    operations: tuple[OperationName, ...] = pydantic.Field(min_length=1)
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: Expression
    headers: dict[str, Expression] = pydantic.Field(default={})
    body: Body


class HttpTemplate(Declaration):
    """A JSON-over-HTTP destination."""

    name: Identifier
    label: str
    description: str
    documentation: str
    # Whether a repetition under the same key counts once there.
    honours_keys: bool
    # Values that an activation may set, with their defaults; null: it must.
    settings: dict[Identifier, str | None] = pydantic.Field(default={})
    # Secrets; an activation says which environment variable holds each.
    environment: tuple[Identifier, ...] = ()
    # Fields that an activation's mapping must have.
    fields: tuple[Identifier, ...] = ()
    # Fields of which each alone tells the service whom we mean. Where one changes, what
    # was sent is removed and what is now is added: an update would leave the earlier
    # address there. In a removal what somebody else is known by is null.
    known_by: tuple[Identifier, ...] = ()
    # Fields that it looks at together with those; a changed one is removed as well.
    matched_with: tuple[Identifier, ...] = ()
    authorisation: Annotated[
        Bearer | Basic | OAuth | NoAuthorisation, pydantic.Field(discriminator="kind")
    ]
    batch: BatchLimit = BatchLimit()
    rate: str | None = None
    requests: dict[Identifier, Request] = pydantic.Field(min_length=1)
    answers: tuple[AnswerRule, ...] = ()
    rows: RowErrors | None = None

    @pydantic.model_validator(mode="after")
    def _each_operation_has_one_request(self) -> "HttpTemplate":
        taken = [
            one for request in self.requests.values() for one in request.operations
        ]
        for operation in taken:
            if taken.count(operation) > 1:
                raise ValueError(f"requests: {operation!r} is served by two of them")
        if self.known_by and "remove" not in taken:
            raise ValueError(
                "known_by: what was sent under an earlier value must be removed; give "
                "'remove' a request, or leave it out"
            )
        if self.known_by and "alias" in taken:
            raise ValueError(
                "known_by: people who are known by an address have no id that an alias "
                "could name; leave one of them out"
            )
        if self.matched_with and not self.known_by:
            raise ValueError("matched_with: needs known_by, which it stands beside")
        if self.rate is not None:
            interval(self.rate)
        return self

    @property
    def operations(self) -> tuple[str, ...]:
        """Those that the destination has a request for."""
        return tuple(
            one for request in self.requests.values() for one in request.operations
        )


@cache
def load_templates(folder: Path | None = None) -> dict[str, HttpTemplate]:
    """Every declared JSON-over-HTTP destination by name."""
    return read_declarations(folder or Path(__file__).parent, HttpTemplate)


def template_of(spec: HttpSpec) -> HttpTemplate:
    """The template that a destination names.

    Raises:
        DeclarationError: There is none of this name.
    """
    templates = load_templates()
    if spec.template not in templates:
        raise DeclarationError(
            f"there is no template {spec.template!r}"
            f"{nearest(spec.template, templates)} (there are {', '.join(templates)})"
        )
    return templates[spec.template]


def known_by(destination: object) -> tuple[str, ...]:
    """The fields by which a destination knows people; none: it knows them by our id."""
    if not isinstance(destination, HttpSpec):
        return ()
    return template_of(destination).known_by


def matched_by(destination: object) -> tuple[str, ...]:
    """The fields by which a destination finds people, each alone or together."""
    if not isinstance(destination, HttpSpec):
        return ()
    template = template_of(destination)
    return template.known_by + template.matched_with


def agree(spec: HttpSpec, fields: tuple[str, ...], operations: tuple[str, ...]) -> None:
    """Check that an activation gives its template what that asks for.

    Raises:
        DeclarationError: A setting, variable, field or operation is missing or unknown.
    """
    template = template_of(spec)
    required = {name for name, value in template.settings.items() if value is None}
    for what, given, wanted, allowed in (
        ("settings", set(spec.settings), required, set(template.settings)),
        (
            "environment",
            set(spec.environment),
            set(template.environment),
            set(template.environment),
        ),
    ):
        for name in sorted(given - allowed):
            raise DeclarationError(
                f"destination.{what}: {template.name} has no {name!r}"
                f"{nearest(name, allowed)} (it has {', '.join(sorted(allowed))})"
            )
        for name in sorted(wanted - given):
            raise DeclarationError(f"destination.{what}: {name!r} is missing")
    for name in template.fields:
        if name not in fields:
            raise DeclarationError(
                f"mapping: {template.name} needs the field {name!r}"
                f"{nearest(name, fields)}"
            )
    if template.known_by and not set(template.known_by) & set(fields):
        raise DeclarationError(
            f"mapping: {template.name} knows people by "
            f"{' or '.join(template.known_by)}; give it one of them"
        )
    for operation in operations:
        if operation not in template.operations:
            raise DeclarationError(
                f"operations: {template.name} has no {operation!r}; write "
                f"operations: [{', '.join(template.operations)}] or fewer"
            )
