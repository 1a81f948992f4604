"""Quarantine: rows that could not be kept, why, and their way back.

A record stays here until the declaration is mended and it is replayed, or until
somebody drops it. Both write a load that moves rows and reads none, so the counts of
``ops.load`` add up to what was ever read, and ``quarantined`` to what lies here.
"""

import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.fold import Folded, fold
from cdp_assets.streams.ledger import (
    LoadResult,
    next_load_seq,
    record_load,
    result_of,
)
from cdp_assets.streams.places import place_rows
from cdp_assets.streams.read_json import keys_of, source_of_lines
from cdp_assets.streams.reading import format_of
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import GOOD, create_stage, drop_stage, stage
from cdp_assets.warehouse import transaction

# The value that a reason begins with is the person's; counts go to logs and metadata.
_REASON = r"""
    case
        when field is null then regexp_replace(reason, '\d+', 'n', 'g')
        else regexp_replace(reason, '^''.*'' (is|holds) ', '\1 ')
    end
"""
# A column that nobody declared may be called anything, an e-mail address for instance.
_FIELD = r"""
    if(field is null or regexp_full_match(field, '[A-Za-z_][\w $.-]{0,62}'), field,
        '(a column not declared)')
"""
_OPEN = "replayed_load_seq is null"


@dataclass(frozen=True)
class Count:
    """How many records of a stream lie here for one reason."""

    stream: str
    field: str | None
    reason: str
    """Without the value, so that it may be logged."""
    records: int


@dataclass(frozen=True)
class Refused:
    """One record, as it came."""

    stream: str
    file: str
    line: int | None
    field: str | None
    reason: str
    record: str | None
    load_seq: int


def counts(
    connection: duckdb.DuckDBPyConnection, stream: str | None = None
) -> list[Count]:
    """What lies in quarantine, by stream, field and reason."""
    found = connection.execute(
        f"""
        select stream, {_FIELD} as field, {_REASON} as why, count(*)
        from ops.quarantine
        where {_OPEN} and ($stream::varchar is null or stream = $stream)
        group by all order by stream, count(*) desc, 2, why
        """,
        {"stream": stream},
    )
    return [Count(*row) for row in found.fetchall()]


def records(
    connection: duckdb.DuckDBPyConnection, stream: str, *, limit: int = 20
) -> list[Refused]:
    """The records themselves, latest load first."""
    found = connection.execute(
        f"""
        select stream, file, line, field, reason, record, load_seq
        from ops.quarantine where {_OPEN} and stream = ?
        order by load_seq desc, file, line limit ?
        """,
        [stream, limit],
    )
    return [Refused(*row) for row in found.fetchall()]


def replay(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    *,
    started_at: dt.datetime,
) -> LoadResult:
    """Read a stream's quarantined records again, after its declaration was mended.

    Those that fit now are folded in as if they had been loaded then; the others stay.
    What was no record at all, such as half a line, cannot be mended and stays too.
    """
    try:
        with transaction(connection):
            waiting = _stage_refused(connection, spec, started_at)
            moved = _mark_good(connection, next_load_seq(connection))
            if not moved:
                return LoadResult()
            ensure_table(connection, spec)
            load_seq = next_load_seq(connection)
            result = result_of(
                fold(connection, spec, load_seq, started_at),
                load_seq,
                quarantined=-moved,
                notes=(f"replay of {moved} of {waiting} quarantined records",),
            )
            record_load(connection, spec, result, started_at)
            return result
    finally:
        drop_stage(connection)


def drop(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    *,
    started_at: dt.datetime,
    field: str | None = None,
) -> LoadResult:
    """Delete a stream's quarantined records for good, of one field or all.

    They count as superseded: somebody decided that something else stands.
    """
    with transaction(connection):
        row = connection.execute(
            f"""
            delete from ops.quarantine
            where {_OPEN} and stream = $stream
                and ($field::varchar is null or field = $field)
            """,
            {"stream": spec.name, "field": field},
        ).fetchone()
        dropped = int(row[0]) if row else 0
        if not dropped:
            return LoadResult()
        result = result_of(
            Folded(superseded=dropped),
            next_load_seq(connection),
            quarantined=-dropped,
            notes=(f"{dropped} quarantined records dropped",),
        )
        record_load(connection, spec, result, started_at)
        return result


def readmit_files(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> int:
    """Forget a stream's unreadable files, so that the next load tries them again.

    For when the declaration had the wrong encoding, delimiter or columns.
    """
    row = connection.execute(
        "delete from ops.landed_file where stream = ? and outcome = 'unreadable'",
        [spec.name],
    ).fetchone()
    return int(row[0]) if row else 0


def _stage_refused(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, started_at: dt.datetime
) -> int:
    """Stage what can be replayed, each record as a file of its own."""
    create_stage(connection, spec, started_at)
    connection.execute(
        f"""
        create or replace temp table replaying as
        select row_number() over (order by load_seq, file, line) as file_no,
            rowid as refused, file, line, load_seq, record
        from ops.quarantine
        where {_OPEN} and stream = ? and json_valid(record)
            and json_type(record) = 'OBJECT'
        """,
        [spec.name],
    )
    files = [
        file
        for (file,) in connection.execute(
            "select distinct file from replaying"
        ).fetchall()
    ]
    for is_nested in (True, False):
        chosen = [
            file
            for file in files
            if (format_of(spec, file) in ("json", "ndjson")) is is_nested
        ]
        # DuckDB 1.5.5 loses 122,880 rows or more of an insert that follows one of none
        # into the same table, in the same transaction.
        if not chosen:
            continue
        relation = """(
            select file_no, line as position, load_seq, record as line,
                record as document
            from replaying where list_contains($files, file) order by file_no
        )"""
        parameters = {"files": chosen}
        keys = keys_of(connection, relation, parameters)
        source = source_of_lines(
            spec,
            relation,
            keys,
            parameters,
            nested_as_text=not is_nested,
            line="position",
            origin_seq="load_seq",
        )
        stage(connection, spec, source)
    connection.execute(
        """
        create or replace temp table staged_file as
        select file_no, file, 1 as first_line, 0 as first_row, 1 as rows from replaying
        """
    )
    place_rows(connection)
    row = connection.execute("select count(*) from replaying").fetchone()
    return int(row[0]) if row else 0


def _mark_good(connection: duckdb.DuckDBPyConnection, load_seq: int) -> int:
    row = connection.execute(
        f"""
        update ops.quarantine set replayed_load_seq = ?
        where rowid in (
            select refused from replaying join stage using (file_no)
            where kind = {GOOD}
        )
        """,
        [load_seq],
    ).fetchone()
    return int(row[0]) if row else 0
