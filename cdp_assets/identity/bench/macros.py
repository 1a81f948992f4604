"""The normalisers of the dbt project, for SQL that is not a model of it.

The macros are rendered as dbt renders them, so that a labelled file is cleaned by the
very text that cleans a stream. dbt itself would take ten seconds to start.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import jinja2
import yaml

from cdp_assets.paths import DBT_PROJECT

_FILES = ("text", "names", "dates", "email", "phones", "addresses", "websites")
_MACRO = re.compile(r"\{%-? macro (?P<name>\w+)\(.*?\{%-? *endmacro *-?%\}", re.DOTALL)


class _ReturnError(Exception):
    """How dbt's ``return`` leaves a macro with a value that is no text."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Macros:
    """The macros by name: ``macros.clean_text('column')`` is SQL."""

    def __init__(self) -> None:
        """Read the files that hold normalisers."""
        project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text("utf-8"))
        environment = jinja2.Environment(
            extensions=["jinja2.ext.do"],
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # noqa: S701 - the output is SQL
        )
        self._globals: dict[str, Any] = environment.globals
        self._globals.update(
            {
                "var": project["vars"].__getitem__,
                "ref": lambda name: f"reference.{name}",
                "source": lambda schema, name: f"{schema}.{name}",
                "return": _leave,
            }
        )
        for file in _FILES:
            text = (DBT_PROJECT / "macros" / f"{file}.sql").read_text("utf-8")
            for found in _MACRO.finditer(text):
                self._globals[found["name"]] = _returning(
                    environment.from_string(found[0]), found["name"]
                )

    def __getattr__(self, name: str) -> Callable[..., str]:
        """The macro of that name."""
        macro: Callable[..., str] = self._globals[name]
        return macro


def _returning(template: jinja2.Template, name: str) -> Callable[..., Any]:
    """One macro as a function."""

    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return str(getattr(template.module, name)(*arguments, **options))
        except _ReturnError as returned:
            return returned.value

    return call


def _leave(value: Any) -> None:
    raise _ReturnError(value)


def seeds(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The files of some seeds, by name."""
    return ((name, str(DBT_PROJECT / "seeds" / f"{name}.csv")) for name in names)
