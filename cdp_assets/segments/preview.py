"""A segment looked at before it is published: how many, who, and which part does what.

Reads only. Segments that the condition names count as they were last published.
"""

import datetime as dt
import json
from dataclasses import dataclass

import duckdb

from cdp_assets.segments.compiling import compile_members, compile_people
from cdp_assets.segments.namespace import GRAIN, PROFILE, RUN
from cdp_assets.segments.spec import SegmentSpec


@dataclass(frozen=True)
class Part:
    """One of the conditions that all have to hold."""

    sql: str
    alone: int
    """People for whom it holds, whatever the others say."""
    without: int
    """Members there would be if it were left out (before any limit)."""


@dataclass(frozen=True)
class Preview:
    """What publishing the segment now would do."""

    people: int
    members: int
    entering: int
    leaving: int
    sample: list[str]
    """Ids of members, the smallest first, so that two previews compare."""
    parts: list[Part]


def preview(
    connection: duckdb.DuckDBPyConnection,
    spec: SegmentSpec,
    as_of: dt.datetime,
    *,
    sample: int = 5,
) -> Preview:
    """Evaluate the segment at ``as_of`` (UTC) without publishing it.

    Args:
        connection: The warehouse; reading is enough.
        spec: The segment, checked.
        as_of: The instant that is now (UTC).
        sample: How many ids to name.
    """
    query = compile_members(spec, as_of)
    connection.execute(
        f"create or replace temp table segment_preview as {query.sql}", query.parameters
    )
    row = connection.execute(
        f"""
        with published as (
            select {GRAIN} from segments.membership
            where segment = ? and left_at is null
        )
        select (select count(*) from unified.unified_individual), count(*),
            count(*) filter ({GRAIN} not in (from published)),
            (select count(*) from published anti join segment_preview using ({GRAIN})),
            coalesce(list({GRAIN} order by {GRAIN})[:?], [])
        from segment_preview
        """,
        [spec.name, sample],
    ).fetchone()
    connection.execute("drop table segment_preview")
    assert row is not None  # noqa: S101 - an aggregate yields one row
    people, members, entering, leaving, ids = row
    parts = _count_parts(connection, spec, as_of)
    return Preview(people, members, entering, leaving, ids, parts)


def known_columns(
    connection: duckdb.DuckDBPyConnection,
) -> dict[str, dict[str, str]]:
    """What conditions may name, as the warehouse has it: profile and insights."""
    rows = connection.execute(
        f"""
        select if(schema_name = 'unified', '{PROFILE}', table_name), column_name,
            data_type
        from duckdb_columns()
        where database_name = current_database() and (
            schema_name = 'insights'
            or (schema_name = 'unified' and table_name = 'unified_individual')
        )
        order by schema_name desc, table_name, column_index
        """
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for alias, column, kind in rows:
        found.setdefault(alias, {})[column] = kind
    # An insight per account has no row per person.
    people = {alias: names for alias, names in found.items() if GRAIN in names}
    return people | {RUN: {"as_of": "timestamp"}}


def parts_of(condition: str) -> list[str]:
    """The conditions that ``and`` joins at the top of ``condition``."""
    with duckdb.connect() as parser:

        def one(sql: str, text: str) -> str:
            return str(parser.execute(sql, [text]).fetchall()[0][0])

        tree = json.loads(
            one("select json_serialize_sql(?)", f"select ({condition}\n)")
        )
        node = tree["statements"][0]["node"]
        (whole,) = node["select_list"]
        if whole["type"] != "CONJUNCTION_AND":
            return [condition.strip()]
        found = []
        for child in whole["children"]:
            node["select_list"] = [child]
            text = one("select json_deserialize_sql(?)", json.dumps(tree))
            found.append(text.removeprefix("SELECT "))
    return found


def _count_parts(
    connection: duckdb.DuckDBPyConnection, spec: SegmentSpec, as_of: dt.datetime
) -> list[Part]:
    parts = parts_of(spec.condition)
    holds = [f"coalesce(({part}), false)" for part in parts]
    columns = []
    for place, each in enumerate(holds):
        others = [other for number, other in enumerate(holds) if number != place]
        columns.append(f"count(*) filter ({each})")
        columns.append(f"count(*) filter ({' and '.join(others) or 'true'})")
    people = compile_people(spec, spec.aliases, as_of)
    (counts,) = connection.execute(
        f"select {', '.join(columns)} {people.sql}", people.parameters
    ).fetchall()
    return [
        Part(part, counts[2 * place], counts[2 * place + 1])
        for place, part in enumerate(parts)
    ]
