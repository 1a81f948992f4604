"""The staging table: a batch's rows, typed, before they are folded.

A reader says how to get at each declared field (``Source``); one statement casts whole
columns, works out key, order and hash, and marks what cannot be kept with field, reason
and the record as it came. A row's position is DuckDB's ``rowid``, which follows the
order of the files and of the rows in them; line numbers come from it.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams import cards, casting, drift, screening
from cdp_assets.streams.spec import SQL_TYPES, Field, StreamSpec

GOOD, FAULTY, BLANK = 0, 1, 2
# What is wrong with a row: a field's position, or one of these.
_BROKEN, _DRIFTED, _CARD_UNDECLARED = -1, -2, -3

_STAGE = """
    create or replace temp table stage (
        file_no integer, line bigint, newlines integer, origin_seq bigint,
        kind utinyint, field varchar, reason varchar, record varchar,
        record_id varchar, is_deleted boolean, ordered_at timestamp, row_hash varchar,
        undeclared map(varchar, varchar), said boolean[],
        {columns}
    )
"""

_TEMPORARY = (
    "verdict",
    "remembered",
    "merged",
    "place",
    "staged_file",
    "stage",
    "replaying",
)


@dataclass(frozen=True)
class Column:
    """How a reader gets at one declared field, as an SQL expression."""

    sql: str
    """What was sent: text, or for an exact column the value itself."""
    is_exact: bool = False
    """Whether it has the declared type already, so that no cast can fail."""
    said: str = "true"
    """Whether the row says this field at all; only asked of partial updates."""


_ABSENT = Column("null::varchar", said="false")


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
    undeclared: str = drift.NOTHING
    """The values sent in columns that are not declared, as a map, or null."""
    drifted: str = "null::varchar"
    """The undeclared column because of which the row is refused, else null."""


# Takes a source's rows in: ``stage`` below, or compaction's.
Stager = Callable[[duckdb.DuckDBPyConnection, StreamSpec, Source], None]


def create_stage(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, started_at: dt.datetime
) -> None:
    """Start an empty staging table.

    Args:
        connection: The warehouse.
        spec: The stream.
        started_at: The load's time (UTC). A version more than a day after it, and after
            the instant of the last run, is refused: it would stand for ever.
    """
    connection.execute(
        f"""
        set variable latest_instant = (
            select greatest(timestamp '{started_at.isoformat()}', max(as_of))
                + interval 1 day from ops.run
        )
        """
    )
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
    order = typed[spec.order_field] if spec.order_field else "null"
    card_at = screening.place_of_card(spec, text, _CARD_UNDECLARED)

    def text_of(name: str) -> str:
        return f"{text[name]}::varchar"

    connection.execute(
        f"""
        insert into stage
        select
            {source.file_no}, {source.line}, {source.newlines}, {source.origin_seq},
            case when {source.blank} then {BLANK} when bad is not null then {FAULTY}
                else {GOOD} end,
            case bad when {_DRIFTED} then drifted
                when {_CARD_UNDECLARED} then {screening.undeclared_with_card()}
                {_whens(names, lambda name: f"'{name}'")} end,
            case bad when {_BROKEN} then fault
                when {_DRIFTED} then '{drift.reason(spec)}'
                when {_CARD_UNDECLARED} then '{cards.REASON}'
                {_whens(names, lambda name: _why(spec, name, text, typed))} end,
            {cards.masked("refused", screening.spared(spec, text, typed))},
            {casting.record_id(spec, typed)}, {casting.deleted(spec, typed)},
            {order}::timestamp, {casting.row_hash(spec, typed, "undeclared")},
            undeclared, said,
            {", ".join(typed.values())}
        from (
            select *, case when bad is not null then {source.record} end as refused,
                {cards.masked(f"(case bad {_whens(names, text_of)} end)")} as shown
            from (
                select *, coalesce(misfit, {card_at}) as bad from (
                    select *, {screening.cards_in(spec, text)} as cards from (
                        {_judged(spec, source, text, typed)}
                    )
                )
            )
        )
        """,
        source.parameters,
    )


def _judged(
    spec: StreamSpec, source: Source, text: dict[str, str], typed: dict[str, str]
) -> str:
    """The source's rows with their texts, typed values, and what is wrong first."""
    columns = {name: source.columns.get(name, _ABSENT) for name in spec.fields}
    exact = {name for name, column in columns.items() if column.is_exact}
    texts = ", ".join(
        f"{_sent(columns[name], field)} as {text[name]}"
        for name, field in spec.fields.items()
    )
    values = ", ".join(
        f"{_value(columns[name], field, text[name])} as {typed[name]}"
        for name, field in spec.fields.items()
    )
    return f"""
        select *, {_first_misfit(spec, text, typed, exact)} as misfit from (
            select *, {values} from (
                select *, {source.fault} as fault, {source.undeclared} as undeclared,
                    {source.drifted} as drifted, {_said(spec, columns)} as said, {texts}
                from {source.sql}
            )
        )
    """


def _whens(names: list[str], then: Callable[[str], str]) -> str:
    return " ".join(
        f"when {position} then {then(name)}" for position, name in enumerate(names)
    )


def _sent(column: Column, declared: Field) -> str:
    return column.sql if column.is_exact else casting.cleaned(declared.type, column.sql)


def _value(column: Column, declared: Field, text: str) -> str:
    return text if column.is_exact else casting.value(declared.type, text)


def _said(spec: StreamSpec, columns: dict[str, Column]) -> str:
    """Which fields the row says, by position; null where every row says them all."""
    if not spec.is_partial:
        return "null::boolean[]"
    said = (f"coalesce({columns[name].said}, false)" for name in spec.fields)
    return f"[{', '.join(said)}]"


def _first_misfit(
    spec: StreamSpec, text: dict[str, str], typed: dict[str, str], exact: set[str]
) -> str:
    """What is wrong with the row first, other than a card number; null if nothing."""
    tests = [
        f"when fault is not null then {_BROKEN}",
        f"when drifted is not null then {_DRIFTED}",
    ]
    for position, (name, declared) in enumerate(spec.fields.items()):
        failures = []
        if spec.must_be_sent(name):
            failures.append(_is_missing(declared, text[name]))
        elif declared.required:
            missing = _is_missing(declared, text[name])
            failures.append(f"(said[{position + 1}] and {missing})")
        if declared.type != "string" and name not in exact:
            failures.append(f"({text[name]} is not null and {typed[name]} is null)")
        if _is_part(spec, name):
            failures.append(f"contains({text[name]}, '|')")
        if name == spec.order_field:
            failures.append(_is_to_come(typed[name]))
        if failures:
            tests.append(f"when {' or '.join(failures)} then {position}")
    return f"case {' '.join(tests)} end"


def _why(
    spec: StreamSpec, name: str, texts: dict[str, str], typed: dict[str, str]
) -> str:
    declared, text = spec.fields[name], texts[name]
    cases = []
    if name in spec.primary_key:
        cases.append((_is_missing(declared, text), "'the key is missing'"))
    elif declared.required or spec.must_be_sent(name):
        cases.append((_is_missing(declared, text), "'a required field is empty'"))
    if screening.is_searched(spec, name):
        cases.append(("len(cards) > 0", f"'{cards.REASON}'"))
    if _is_part(spec, name):
        cases.append((f"contains({text}, '|')", "'holds |, which joins key parts'"))
    if name == spec.order_field:
        to_come = "is still to come; expected an instant at most a day after the load"
        shown = f"chr(39) || left({text}::varchar, 40) || chr(39) || ' {to_come}'"
        cases.append((_is_to_come(typed[name]), shown))
    whens = " ".join(f"when {test} then {then}" for test, then in cases)
    wrong = casting.reason(declared.type, f"{text}::varchar", "shown")
    return f"case {whens} else {wrong} end" if whens else wrong


def _is_missing(declared: Field, text: str) -> str:
    if declared.type == "string":
        return f"coalesce(trim({text}), '') = ''"
    return f"{text} is null"


def _is_to_come(typed: str) -> str:
    return f"coalesce({typed} > getvariable('latest_instant')::timestamp, false)"


def _is_part(spec: StreamSpec, name: str) -> bool:
    """Whether a text that holds the key's separator would make the key ambiguous."""
    return (
        len(spec.primary_key) > 1
        and name in spec.primary_key
        and spec.fields[name].type == "string"
    )
