"""The fold: staged rows into the stream's table, the greatest version of each key.

Versions of a key are ordered by (order field, delete flag, content hash). The order is
total, so neither the order in which files arrive, nor how they are split, nor how often
they come changes what is kept. Where the source gives no order field, and in a full
refresh, what arrives later is greater. Partial updates are folded field by field
(merge.py).
"""

import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams.dlo import table_name
from cdp_assets.streams.merge import judge_partial, write_partial
from cdp_assets.streams.places import LINE, PLACED
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import GOOD

_LOWEST = "timestamp '-infinity'"
_VERDICTS = ("inserted", "updated", "deleted", "unchanged", "superseded")


@dataclass(frozen=True)
class Folded:
    """What became of the good rows of a batch."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    superseded: int = 0
    absent: int = 0
    """How many of the deleted were absent from a full extract: no row says so."""


def fold(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    load_seq: int,
    started_at: dt.datetime,
    *,
    is_whole: bool = False,
) -> Folded:
    """Fold the staged rows into the stream's table; call it within a transaction.

    Args:
        connection: With a filled stage and ``staged_file``.
        spec: The stream.
        load_seq: What changed rows are marked with.
        started_at: The time of changes that carry none.
        is_whole: Whether the stage is a whole extract, so that absence means deletion.
    """
    judge = judge_partial if spec.is_partial else _judge
    judge(connection, spec)
    counts = dict(
        connection.execute(
            "select verdict, count(*) from verdict group by 1"
        ).fetchall()
    )
    if spec.is_partial:
        write_partial(connection, spec, load_seq)
    elif counts.keys() & {"inserted", "updated", "deleted"}:
        _write(connection, spec, load_seq, started_at)
    absent = _delete_absent(connection, spec, load_seq, started_at) if is_whole else 0
    found = {verdict: counts.get(verdict, 0) for verdict in _VERDICTS}
    found["deleted"] += absent
    return Folded(**found, absent=absent)


def _judge(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> None:
    """Decide on every good row: table ``verdict(row, verdict)``."""
    order = (
        "file_no desc, rowid desc"
        if spec.order_field is None
        else f"coalesce(ordered_at, {_LOWEST}) desc, is_deleted desc, row_hash desc, "
        "file_no desc, rowid desc"
    )
    connection.execute(
        f"""
        create or replace temp table verdict as
        with repeated as (
            select record_id from stage where kind = {GOOD}
            group by record_id having count(*) > 1
        ),
        beaten as (
            select rowid as row from stage
            where kind = {GOOD} and record_id in (from repeated)
            qualify row_number() over (partition by record_id order by {order}) > 1
        )
        select stage.rowid as row, {_verdict(spec)} as verdict
        from stage
        left join {table_name(spec)} as kept on kept._record_id = stage.record_id
        where stage.kind = {GOOD} and stage.rowid not in (from beaten)
        union all
        select row, 'superseded' from beaten
        """
    )


def _verdict(spec: StreamSpec) -> str:
    if spec.is_arrival_ordered:
        # A replayed row arrived with the load that quarantined it, not now.
        is_older = "kept._load_seq >= stage.origin_seq"
    else:
        is_older = f"""
            (coalesce(stage.ordered_at, {_LOWEST}), stage.is_deleted, stage.row_hash)
            < (coalesce(kept._modified_at, {_LOWEST}), kept._is_deleted, kept._row_hash)
        """
    return f"""
        case
            when kept._record_id is null
                then case when stage.is_deleted then 'deleted' else 'inserted' end
            when kept._row_hash = stage.row_hash
                and kept._is_deleted = stage.is_deleted then 'unchanged'
            when {is_older} then 'superseded'
            when stage.is_deleted and not kept._is_deleted then 'deleted'
            else 'updated'
        end
    """


def _write(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    load_seq: int,
    started_at: dt.datetime,
) -> None:
    connection.execute(
        f"""
        delete from {table_name(spec)} where _record_id in (
            select record_id from stage join verdict on stage.rowid = verdict.row
            where verdict in ('updated', 'deleted')
        )
        """
    )
    own = ", ".join(quoted(name) for name in spec.fields)
    staged = ", ".join(f"stage.{quoted('f_' + name)}" for name in spec.fields)
    modified_at = "stage.ordered_at" if spec.order_field else "$started_at::timestamp"
    connection.execute(
        f"""
        insert into {table_name(spec)} ({own}, _record_id, _file, _line, _load_seq,
            _modified_at, _is_deleted, _row_hash, _undeclared)
        select {staged}, stage.record_id, staged_file.file, {LINE}, $load_seq,
            {modified_at}, stage.is_deleted, stage.row_hash, stage.undeclared
        from {PLACED}
        join verdict on verdict.row = stage.rowid
        where verdict.verdict in ('inserted', 'updated', 'deleted')
        """,
        {"load_seq": load_seq}
        | ({} if spec.order_field else {"started_at": started_at}),
    )


def _delete_absent(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    load_seq: int,
    started_at: dt.datetime,
) -> int:
    deleted = connection.execute(
        f"""
        update {table_name(spec)}
        set _is_deleted = true, _load_seq = $load_seq, _modified_at = $started_at
        where not _is_deleted and _record_id not in (
            select record_id from stage where kind = {GOOD}
        )
        """,
        {"load_seq": load_seq, "started_at": started_at},
    ).fetchone()
    return int(deleted[0]) if deleted else 0
