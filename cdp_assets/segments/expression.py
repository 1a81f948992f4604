"""One SQL expression, as a segment's condition or an activation's mapping holds it.

The text comes from YAML and ends inside our own statements, so it is read by DuckDB's
own parser first: exactly one expression over named columns, no subquery, nothing that
looks at the clock. A condition therefore answers the same for the same facts, whenever
it is asked. Lambdas are refused with the unqualified names that they need.
"""

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import duckdb
import pydantic

from cdp_assets.declarations import quoted
from cdp_assets.segments import hashing

Columns = Mapping[str, Mapping[str, str]]
"""Per alias, its columns and their SQL types."""

# Macros are listed because DuckDB does not say which of them read clock or session.
_MACROS = re.compile(
    r"nullif|split_part|fmod|fdiv|date_add|days_in_month|round_even|list_.+|array_.+"
)
# Called stable by DuckDB, yet they read the clock or the session.
_REFUSED = frozenset({"age", "getvariable", "current_setting", "version"})
_CLASSES = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "*",
    "PARAMETER": "a parameter",
}
_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(\(\d+(,\s*\d+)?\))?(\[\])?")


class ExpressionError(ValueError):
    """The text is not what may stand there; the message says what would be right."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression and the columns it names."""

    sql: str
    columns: tuple[tuple[str, ...], ...]

    @property
    def aliases(self) -> frozenset[str]:
        """The tables it needs."""
        return frozenset(names[0] for names in self.columns)

    @property
    def enclosed(self) -> str:
        """The text in brackets; the new line ends a trailing comment."""
        return f"({self.sql}\n)"


@functools.cache
def read_expression(sql: str) -> Expression:
    """Parse ``sql`` as exactly one expression.

    Raises:
        ExpressionError: It is not one, or holds what an expression here may not.
    """
    with _parser() as connection:
        (text,) = connection.execute(
            "select json_serialize_sql(?, skip_null := true, skip_empty := true)",
            [f"select ({sql}\n)"],
        ).fetchone() or ("{}",)
    tree = json.loads(text)
    if tree.get("error"):
        raise ExpressionError(f"is not a SQL expression: {tree['error_message']}")
    statements = tree["statements"]
    node = statements[0]["node"]
    if (
        len(statements) != 1
        or node["type"] != "SELECT_NODE"
        or len(node["select_list"]) != 1
        or node["from_table"]["type"] != "EMPTY"
        or node.keys() & {"where_clause", "group_expressions", "having", "modifiers"}
    ):
        raise ExpressionError(
            "is not one SQL expression: write what would stand after `where`, "
            "without a statement around it"
        )
    columns = []
    for part in _parts(node["select_list"][0]):
        if part.get("class") == "COLUMN_REF":
            columns.append(_column(part["column_names"]))
        else:
            _refuse(part)
    return Expression(sql, tuple(dict.fromkeys(columns)))


def sql_expression(text: str) -> str:
    """Return ``text`` trimmed, if it is one SQL expression."""
    return read_expression(text.strip()).sql


Sql = Annotated[str, pydantic.AfterValidator(sql_expression)]
"""A field of a declaration that holds one SQL expression."""


def check_expression(expression: Expression, columns: Columns) -> str:
    """Bind the expression against empty tables.

    Returns:
        Its SQL type.

    Raises:
        ExpressionError: An unknown table or column, or types that do not fit.
    """
    for alias, name, *_ in expression.columns:
        if alias not in columns:
            raise ExpressionError(
                f"knows no table {alias!r}{_near(alias, columns)}; "
                f"there are {', '.join(columns)}"
            )
        known = {column.lower() for column in columns[alias]}
        if name not in known:
            raise ExpressionError(
                f"{alias} has no column {name!r}{_near(name, known)}; "
                f"it has {', '.join(columns[alias])}"
            )
    used = [alias for alias in columns if alias in expression.aliases]
    with duckdb.connect(
        config={"enable_external_access": "false", "threads": 1}
    ) as connection:
        hashing.define_hashes(connection)
        for alias in used:
            _create_empty(connection, alias, columns[alias])
        tables = " cross join ".join(quoted(alias) for alias in used)
        try:
            (described,) = connection.execute(
                f"describe select {expression.enclosed}"
                + (f" from {tables}" if tables else "")
            ).fetchall()
        except duckdb.Error as error:
            reason = str(error).split("\n\n")[0].strip().replace("\n", " ")
            raise ExpressionError(f"does not fit its columns: {reason}") from None
    return str(described[1])


def _parser() -> duckdb.DuckDBPyConnection:
    """A connection to the one empty database that only parses."""
    return _parsing_database().cursor()


@functools.cache
def _parsing_database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"enable_external_access": "false", "threads": 1})


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of the parse tree, the outermost first."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for child in tree:
            yield from _parts(child)


def _column(names: list[str]) -> tuple[str, ...]:
    if len(names) < 2:
        raise ExpressionError(
            f"names {names[0]!r} without saying whose: write the table before it, "
            f"as in profile.{names[0]}, or run.as_of for the time"
        )
    return tuple(name.lower() for name in names)


def _refuse(part: dict[str, Any]) -> None:
    kind = _CLASSES.get(str(part.get("class")))
    if kind is not None:
        raise ExpressionError(
            f"holds {kind}; an expression looks at one person at a time: put what "
            "needs more rows in an insight"
        )
    if part.get("class") == "FUNCTION":
        name = str(part["function_name"]).lower()
        if name not in _stable_functions():
            raise ExpressionError(
                f"calls {name}(), which does not exist, counts over several people or "
                "does not always answer the same; the time is run.as_of, and what "
                "needs more rows is an insight"
            )


@functools.cache
def _stable_functions() -> frozenset[str]:
    with _parser() as connection:
        rows = connection.execute(
            "select distinct function_name, function_type from duckdb_functions() "
            "where function_type = 'macro' "
            "or (function_type = 'scalar' and stability = 'CONSISTENT')"
        ).fetchall()
    return (
        frozenset(
            name
            for name, kind in rows
            if kind == "scalar" or _MACROS.fullmatch(name) is not None
        )
        - _REFUSED
    ) | hashing.FUNCTIONS


def _create_empty(
    connection: duckdb.DuckDBPyConnection, alias: str, columns: Mapping[str, str]
) -> None:
    for name, kind in columns.items():
        if not _TYPE.fullmatch(kind):
            raise ExpressionError(f"cannot use {alias}.{name}: no SQL type {kind!r}")
    body = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
    connection.execute(f"create table {quoted(alias)} ({body})")


def _near(name: str, known: Mapping[str, object] | set[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3)
    return f" (did you mean {' or '.join(near)}?)" if near else ""
