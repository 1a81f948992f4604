"""Expressions in a destination's YAML, and the JSON that they make of changes.

A text that is one ``{{ expression }}`` gives the expression's value with its type; any
other text is filled in as text. ``$each`` makes a list with one entry per change, and
``omit`` drops its key. Numbers keep fifteen digits, as JSON's readers do.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment

from cdp_assets.activation.destinations.protocol import Change
from cdp_assets.declarations import nearest

EACH = "$each"
_WHOLE = re.compile(r"\s*\{\{(?P<expression>(?:(?!\}\}).)*)\}\}\s*", re.DOTALL)
_OMIT = object()
_KNOWN = frozenset(
    {
        "change",
        "changes",
        "settings",
        "env",
        "status",
        "answer",
        "row",
        "index",
        "omit",
        "dict",
    }
)

_STRICT = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
# What a server answered may lack anything.
_LENIENT = SandboxedEnvironment(undefined=jinja2.ChainableUndefined, autoescape=False)


def check(text: str) -> str:
    """Return ``text`` if its expressions can be read.

    Raises:
        ValueError: One cannot be read, or names what there is not.
    """
    try:
        names = meta.find_undeclared_variables(_STRICT.parse(text))
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"{text!r}: {error.message}") from None
    for name in sorted(names - _KNOWN):
        raise ValueError(
            f"{text!r}: there is no {name!r}{nearest(name, _KNOWN)} "
            f"(there are {', '.join(sorted(_KNOWN))})"
        )
    return text


def check_body(body: Any) -> Any:
    """Check every text in a body; see ``check``."""
    if isinstance(body, str):
        check(body)
    elif isinstance(body, Mapping):
        for value in body.values():
            check_body(value)
    elif isinstance(body, Sequence):
        for value in body:
            check_body(value)
    return body


def evaluate(text: str, scope: Mapping[str, Any], *, lenient: bool = False) -> Any:
    """The value of a text; ``lenient``: None for what an answer does not hold.

    Raises:
        jinja2.UndefinedError: It names what a change or the settings do not hold.
    """
    environment = _LENIENT if lenient else _STRICT
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        return environment.from_string(text).render(scope)
    expression = environment.compile_expression(
        whole["expression"], undefined_to_none=lenient
    )
    value = expression(**scope, omit=_OMIT)
    if isinstance(value, jinja2.StrictUndefined):
        str(value)  # raises, and says which name
    return value


def fill(body: Any, scope: Mapping[str, Any]) -> Any:
    """A body with its expressions evaluated; ``scope`` holds the changes."""
    if isinstance(body, str):
        return evaluate(body, scope)
    if isinstance(body, Mapping):
        if set(body) == {EACH}:
            return [
                fill(body[EACH], {**scope, "change": one}) for one in scope["changes"]
            ]
        filled = {key: fill(value, scope) for key, value in body.items()}
        return {key: value for key, value in filled.items() if value is not _OMIT}
    if isinstance(body, list):
        return [fill(value, scope) for value in body]
    return body


def described(change: Change) -> dict[str, Any]:
    """A change as expressions see it."""
    return {
        "key": change.idempotency_key,
        "activation": change.activation,
        "operation": change.operation,
        "person": change.unified_individual_id,
        "previous": change.previous_individual_id,
        "planned_at": change.planned_at[:19] + "Z",
        "fields": json.loads(change.payload),
    }
