"""What a segment is: a name, an owner and a SQL condition over one person.

Each YAML beside this module is a segment. Its text is parsed when it is read, and
``check`` binds it against the columns of the profile and its insights when the code
location loads, so that a wrong name is an error then and not an empty segment later.
"""

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
    ExpressionError,
    check_expression,
    read_expression,
)
from cdp_assets.segments.namespace import people_with

Identifier = Annotated[str, pydantic.AfterValidator(identifier)]


def sql_expression(text: str) -> str:
    """Return ``text`` trimmed, if it is one SQL expression."""
    return read_expression(text.strip()).sql


Sql = Annotated[str, pydantic.AfterValidator(sql_expression)]


class SegmentSpec(Declaration):
    """One segment: who belongs to it."""

    name: Identifier
    label: str
    description: str
    owner: str
    condition: Sql


@cache
def load_segments(folder: Path | None = None) -> dict[str, SegmentSpec]:
    """Every declared segment by name, from ``folder`` (default: this package)."""
    return read_declarations(folder or Path(__file__).parent, SegmentSpec)


def check(spec: SegmentSpec, columns: Columns) -> None:
    """Bind the condition against empty tables.

    Args:
        spec: The segment.
        columns: Per alias its columns, as ``namespace.profile_columns`` reads them.

    Raises:
        DeclarationError: Names the segment's file and what is wrong: an unknown table
            or column, or an expression that is not a condition.
    """
    try:
        kind = check_expression(read_expression(spec.condition), columns)
    except ExpressionError as error:
        raise DeclarationError(f"{spec.name}.yaml: condition: {error}") from None
    if kind != "BOOLEAN":
        raise DeclarationError(
            f"{spec.name}.yaml: condition: is not a condition: it yields {kind}; "
            "compare it with something, so that it is true or false"
        )


def compile_members(spec: SegmentSpec) -> tuple[str, bool]:
    """The query that yields the ids of the segment's people.

    Returns:
        The SQL, and whether it needs the parameter ``$as_of``. A person for whom the
        condition is unknown (a missing insight) is not a member.
    """
    condition = read_expression(spec.condition)
    sql = (
        "select profile.unified_individual_id\n"
        f"{people_with(condition.aliases)}\n"
        f"where coalesce({condition.enclosed}, false)"
    )
    return sql, "run" in condition.aliases
