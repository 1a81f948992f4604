"""Declarations: YAML files read into pydantic models, with errors a reader can act on.

Streams, rulesets, segments and activations are all read here, so every one of them
refuses unknown keys and names the file, the field and what would be right.
"""

import difflib
import re
import types
import typing
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from cdp_assets.errors import OperatorError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class DeclarationError(OperatorError, ValueError):
    """A declaration that cannot be used; the message names file, field and remedy."""


class MisplacedError(ValueError):
    """A fault further down than the validator that found it.

    ``at`` leads there from the validated object: keys, and positions in lists.
    """

    def __init__(self, message: str, *at: str | int) -> None:
        """Keep the way to the fault beside what is wrong with it."""
        super().__init__(message)
        self.at = at


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


class _RepeatedKeyError(Exception):
    """A key that stands twice; YAML's last one would silently win."""


class _EachKeyOnce(yaml.SafeLoader):
    """A loader that takes every key of a mapping once."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in lines and isinstance(key, yaml.ScalarNode):
                raise _RepeatedKeyError(
                    f"line {line}: {key.value!r} stands in line {lines[key.value]} "
                    "already; keep one of the two"
                )
            if isinstance(key, yaml.ScalarNode):
                lines[key.value] = line
        return super().construct_mapping(node, deep)


def read_declaration(
    path: Path, model: type[Model], context: dict[str, Any] | None = None
) -> Model:
    """Read one YAML file as ``model``; ``context`` is for the model's validators.

    Raises:
        DeclarationError: Not YAML, not a mapping, or not what ``model`` asks for.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = _EachKeyOnce(text).get_single_data()
    except _RepeatedKeyError as error:
        raise DeclarationError(f"{path.name}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path.name}: not readable as YAML: {error}") from error
    if not isinstance(content, dict):
        raise DeclarationError(f"{path.name}: expected a mapping of keys to values")
    try:
        return model.model_validate(content, context=context)
    except pydantic.ValidationError as error:
        # Read once more, with the lines: only a faulty file costs twice.
        tree = yaml.compose(text, yaml.SafeLoader)
        faults = [_fault(dict(fault), model, tree) for fault in error.errors()]
        raise DeclarationError(f"{path.name}: " + "\n  ".join(faults)) from None


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


def nearest(word: str, known: Iterable[object]) -> str:
    """A question that offers the closest of the known words; empty if none is close."""
    close = difflib.get_close_matches(word, [str(each) for each in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _fault(detail: dict[str, Any], model: type, tree: yaml.Node | None) -> str:
    """One fault of a file, in words: its line, its place, and what would be right."""
    place, context = tuple(detail["loc"]), detail.get("ctx") or {}
    cause = context.get("error")
    if isinstance(cause, MisplacedError):
        place += cause.at
    word = str(detail["input"])
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, place[:-1])
        says = "unknown key" + nearest(str(place[-1]), known)
        if "?" not in says:
            says += "; remove it or correct its spelling"
        if known:
            says += f" (there are {', '.join(known)})"
    elif detail["type"] == "missing":
        says = "is missing"
    elif detail["type"] == "literal_error":
        allowed = [part.strip("'") for part in re.findall(r"'[^']*'", detail["msg"])]
        offered = re.sub(r"(.*), (.*)", r"\1 or \2", ", ".join(allowed))
        says = f"{word!r} is none of {offered}{nearest(word, allowed)}"
    else:
        says = str(cause) if cause else f"{detail['msg']}, not {word[:60]!r}"
    where = ".".join(str(part) for part in place)
    line = f"line {_line(tree, place)}: " if tree else ""
    return f"{line}{where}: {says}" if where else f"{line}{says}"


def _line(tree: yaml.Node, place: Sequence[str | int]) -> int:
    """The line of the deepest node on the way to ``place`` that the file has."""
    node, line = tree, tree.start_mark.line
    for part in place:
        inside: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    inside, line = value, key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and part in range(len(node.value)):
            inside = node.value[int(part)]
            line = inside.start_mark.line
        if inside is None:
            break
        node = inside
    return int(line) + 1


def _keys_at(model: Any, place: Sequence[str | int]) -> list[str]:
    """The keys that may stand at ``place`` of what ``model`` describes."""
    for part in place:
        if isinstance(model, type) and issubclass(model, pydantic.BaseModel):
            field = model.model_fields.get(str(part))
            model = field.annotation if field else None
        else:
            # Of a list or a mapping, the type of what is in it is named last.
            inside = [each for each in typing.get_args(model) if each is not ...]
            model = inside[-1] if inside else None
        model = _present(model)
    if isinstance(model, type) and issubclass(model, pydantic.BaseModel):
        return list(model.model_fields)
    return []


def _present(annotation: Any) -> Any:
    """``X`` of ``X | None``, and whatever else as it is."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(
            each for each in typing.get_args(annotation) if each is not types.NoneType
        )
    return annotation
