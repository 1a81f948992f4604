"""The staging table: a batch's rows, typed, before they are folded.

A reader says how to get at each declared field (``Source``); one statement casts whole
columns, works out key, order and hash, and marks what cannot be kept with field, reason
and the record as it came. A row's position is DuckDB's ``rowid``, which follows the
order of the files and of the rows in them; line numbers come from it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams import casting
from cdp_assets.streams.spec import SQL_TYPES, Field, StreamSpec

GOOD, FAULTY, BLANK = 0, 1, 2

_STAGE = """
    create or replace temp table stage (
        file_no integer, line bigint, newlines integer, origin_seq bigint,
        kind utinyint, field varchar, reason varchar, record varchar,
        record_id varchar, is_deleted boolean, ordered_at timestamp, row_hash varchar,
        {columns}
    )
"""

_TEMPORARY = ("verdict", "place", "staged_file", "stage", "replaying")


@dataclass(frozen=True)
class Column:
    """How a reader gets at one declared field, as an SQL expression."""

    sql: str
    """What was sent: text, or for an exact column the value itself."""
    is_exact: bool = False
    """Whether it has the declared type already, so that no cast can fail."""


_ABSENT = Column("null::varchar")


@dataclass(frozen=True)
class Source:
    """A relation to stage, and how to read a record from one of its rows."""

    sql: str
    columns: dict[str, Column]
    record: str
    """The record as JSON text; only worked out for rows that are refused."""
    parameters: dict[str, Any] = field(default_factory=dict)
    file_no: str = "file_no"
    line: str = "null"
    """The line where the reader knows it, else null: then the row's position tells."""
    newlines: str = "0"
    """Line breaks inside the row, which put the rows after it further down."""
    blank: str = "false"
    fault: str = "null"
    """Why the row as a whole is none, null where it is one."""
    origin_seq: str = "null"


# Takes a source's rows in: ``stage`` below, or compaction's.
Stager = Callable[[duckdb.DuckDBPyConnection, StreamSpec, Source], None]


def create_stage(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> None:
    """Start an empty staging table."""
    columns = ", ".join(
        f"{quoted('f_' + name)} {SQL_TYPES[column.type]}"
        for name, column in spec.fields.items()
    )
    connection.execute(_STAGE.format(columns=columns))


def drop_stage(connection: duckdb.DuckDBPyConnection) -> None:
    """Give back what a batch took, whatever became of it."""
    for table in _TEMPORARY:
        connection.execute(f"drop table if exists {table}")


def stage(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, source: Source
) -> None:
    """Add a source's rows to the staging table, in their order."""
    names = list(spec.fields)
    text = {name: f"t{position}" for position, name in enumerate(names)}
    typed = {name: f"v{position}" for position, name in enumerate(names)}
    columns = {name: source.columns.get(name, _ABSENT) for name in names}
    exact = {name for name in names if columns[name].is_exact}
    level_1 = ", ".join(
        f"{_sent(columns[name], spec.fields[name])} as {text[name]}" for name in names
    )
    level_2 = ", ".join(
        f"{_value(columns[name], spec.fields[name], text[name])} as {typed[name]}"
        for name in names
    )
    order = typed[spec.order_field] if spec.order_field else "null"
    connection.execute(
        f"""
        insert into stage
        select
            {source.file_no}, {source.line}, {source.newlines}, {source.origin_seq},
            case when {source.blank} then {BLANK} when bad is not null then {FAULTY}
                else {GOOD} end,
            case bad {_whens(names, lambda name: f"'{name}'")} end,
            case bad when -1 then fault
                {_whens(names, lambda name: _why(spec, name, text[name]))} end,
            case when bad is not null then {source.record} end,
            {casting.record_id(spec, typed)}, {casting.deleted(spec, typed)},
            {order}::timestamp, {casting.row_hash(spec, typed)},
            {", ".join(typed.values())}
        from (
            select *, {_first_bad(spec, text, typed, exact)} as bad
            from (
                select *, {level_2}
                from (select *, {source.fault} as fault, {level_1} from {source.sql})
            )
        )
        """,
        source.parameters,
    )


def _whens(names: list[str], then: Callable[[str], str]) -> str:
    return " ".join(
        f"when {position} then {then(name)}" for position, name in enumerate(names)
    )


def _sent(column: Column, declared: Field) -> str:
    return column.sql if column.is_exact else casting.cleaned(declared.type, column.sql)


def _value(column: Column, declared: Field, text: str) -> str:
    return text if column.is_exact else casting.value(declared.type, text)


def _first_bad(
    spec: StreamSpec, text: dict[str, str], typed: dict[str, str], exact: set[str]
) -> str:
    """The position of the first field that fails; -1 for the row as a whole."""
    tests = ["when fault is not null then -1"]
    for position, (name, declared) in enumerate(spec.fields.items()):
        failures = []
        if declared.required or name in spec.primary_key:
            failures.append(_is_missing(declared, text[name]))
        if declared.type != "string" and name not in exact:
            failures.append(f"({text[name]} is not null and {typed[name]} is null)")
        if _is_part(spec, name):
            failures.append(f"contains({text[name]}, '|')")
        if failures:
            tests.append(f"when {' or '.join(failures)} then {position}")
    return f"case {' '.join(tests)} end"


def _why(spec: StreamSpec, name: str, text: str) -> str:
    declared = spec.fields[name]
    cases = []
    if name in spec.primary_key:
        cases.append((_is_missing(declared, text), "'the key is missing'"))
    elif declared.required:
        cases.append((_is_missing(declared, text), "'a required field is empty'"))
    if _is_part(spec, name):
        cases.append((f"contains({text}, '|')", "'holds |, which joins key parts'"))
    whens = " ".join(f"when {test} then {then}" for test, then in cases)
    wrong = casting.reason(declared.type, f"{text}::varchar")
    return f"case {whens} else {wrong} end" if whens else wrong


def _is_missing(declared: Field, text: str) -> str:
    if declared.type == "string":
        return f"coalesce(trim({text}), '') = ''"
    return f"{text} is null"


def _is_part(spec: StreamSpec, name: str) -> bool:
    """Whether a text that holds the key's separator would make the key ambiguous."""
    return (
        len(spec.primary_key) > 1
        and name in spec.primary_key
        and spec.fields[name].type == "string"
    )
