"""The staging table: a batch's rows, typed, before they are folded.

A reader says how to get at each declared field (``Source``); one statement casts whole
columns, works out key, order and hash, and marks what cannot be kept with field, reason
and the record as it came. A row's position is DuckDB's ``rowid``, which follows the
order of the files and of the rows in them; line numbers come from it.
"""

import datetime as dt
from collections.abc import Callable

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams import cards, casting, drift, screening
from cdp_assets.streams.declared import SQL_TYPES
from cdp_assets.streams.judging import BROKEN, CARD_UNDECLARED, DRIFTED, judged, why_of
from cdp_assets.streams.sources import Source
from cdp_assets.streams.spec import StreamSpec

GOOD, FAULTY, BLANK = 0, 1, 2

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
    card_at = screening.place_of_card(spec, text, CARD_UNDECLARED)

    def text_of(name: str) -> str:
        return f"{text[name]}::varchar"

    connection.execute(
        f"""
        insert into stage
        select
            {source.file_no}, {source.line}, {source.newlines}, {source.origin_seq},
            case when {source.blank} then {BLANK} when bad is not null then {FAULTY}
                else {GOOD} end,
            case bad when {DRIFTED} then drifted
                when {CARD_UNDECLARED} then {screening.undeclared_with_card()}
                {_whens(names, lambda name: f"'{name}'")} end,
            case bad when {BROKEN} then fault
                when {DRIFTED} then '{drift.reason(spec)}'
                when {CARD_UNDECLARED} then '{cards.REASON}'
                {_whens(names, lambda name: why_of(spec, name, text, typed))} end,
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
                        {judged(spec, source, text, typed)}
                    )
                )
            )
        )
        """,
        source.parameters,
    )


def _whens(names: list[str], then: Callable[[str], str]) -> str:
    return " ".join(
        f"when {position} then {then(name)}" for position, name in enumerate(names)
    )
