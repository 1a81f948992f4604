"""Declarations: YAML files read into pydantic models, with errors a reader can act on.

Streams, rulesets, segments and activations are all read here, so every one of them
refuses unknown keys and names the file, the field and what would be right.
"""

import re
from pathlib import Path
from typing import TypeVar

import pydantic
import yaml

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class DeclarationError(ValueError):
    """A declaration that cannot be used; the message names file, field and remedy."""


class Declaration(pydantic.BaseModel):
    """The base of everything declared in YAML: immutable, unknown keys refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Declaration)


def identifier(name: str) -> str:
    """Return ``name`` if it may stand in SQL as an identifier.

    Raises:
        ValueError: It has other characters than letters, digits and underscores.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            f"{name!r} is not an identifier: use letters, digits and underscores, "
            "not starting with a digit, at most 63 characters"
        )
    return name


def quoted(name: str) -> str:
    """Return a validated identifier in double quotes, ready for SQL."""
    return f'"{identifier(name)}"'


def read_declaration(path: Path, model: type[Model]) -> Model:
    """Read one YAML file as ``model``.

    Raises:
        DeclarationError: Not YAML, not a mapping, or not what ``model`` asks for.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path.name}: not readable as YAML: {error}") from error
    if not isinstance(content, dict):
        raise DeclarationError(f"{path.name}: expected a mapping of keys to values")
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors())
        raise DeclarationError(f"{path.name}: {faults}") from error


def read_declarations(folder: Path, model: type[Model]) -> dict[str, Model]:
    """Read every ``*.yaml`` of ``folder``; the key is the ``name`` each one declares.

    Raises:
        DeclarationError: As for one file, or a name that differs from the file's.
    """
    found: dict[str, Model] = {}
    for path in sorted(folder.glob("*.yaml")):
        declaration = read_declaration(path, model)
        name = str(getattr(declaration, "name", path.stem))
        if name != path.stem:
            raise DeclarationError(
                f"{path.name}: name: {name!r} must equal the file's name {path.stem!r}"
            )
        found[name] = declaration
    return found


def _fault(fault: object) -> str:
    detail = dict(fault)  # type: ignore[call-overload]
    where = ".".join(str(part) for part in detail["loc"]) or "(top level)"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key; remove it or correct its spelling"
    return f"{where}: {detail['msg']}"
