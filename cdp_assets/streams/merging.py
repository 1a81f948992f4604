"""A rebuilt stream into the warehouse: what differs, or all of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams.dlo import ensure_table, has_table, table_name
from cdp_assets.streams.fold import Folded
from cdp_assets.streams.ledger import (
    LoadResult,
    next_load_seq,
    record_load,
    result_of,
)
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.verdicts import verdicts
from cdp_assets.warehouse import transaction, utc_now


def merge(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, scratch: Path
) -> LoadResult:
    """Take over from a rebuilt stream what differs.

    A rebuilt version stands where the kept one came from a file that was read again,
    or is smaller. Otherwise the kept one does: its file has expired, was not asked for,
    or was loaded meanwhile.

    Args:
        connection: A writing connection with no transaction open.
        spec: The stream.
        scratch: The DuckDB file with the rebuilt stream.
    """
    started_at = utc_now()
    with _attached(connection, scratch), transaction(connection):
        ensure_table(connection, spec)
        load_seq = next_load_seq(connection)
        connection.execute(verdicts(spec))
        counts = dict(
            connection.execute(
                "select verdict, count(*) from rebuilt_verdict group by 1"
            ).fetchall()
        )
        connection.execute(
            f"""
            delete from {table_name(spec)} where _record_id in (
                select record_id from rebuilt_verdict
                where verdict in ('updated', 'deleted')
            )
            """
        )
        _copy(
            connection,
            spec,
            load_seq,
            """where _record_id in (
                select record_id from rebuilt_verdict
                where verdict in ('inserted', 'updated', 'deleted')
            )""",
        )
        moved = _requarantine(
            connection, spec, load_seq, "and file in (select file from rebuilt_file)"
        )
        files = connection.execute("select count(*) from rebuilt_file").fetchone()
        result = result_of(
            Folded(**counts),
            load_seq,
            quarantined=moved,
            notes=(f"backfill from {files[0] if files else 0} files",),
        )
        record_load(connection, spec, result, started_at)
        connection.execute("drop table rebuilt_verdict; drop table rebuilt_file")
    return result


def replace(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, scratch: Path
) -> LoadResult:
    """Put a rebuilt stream in the place of the kept one, ledger and all.

    Records that it lacks stay as tombstones: key and nothing else.
    """
    started_at = utc_now()
    with _attached(connection, scratch), transaction(connection):
        load_seq = next_load_seq(connection)
        exists = has_table(connection, spec)
        if exists:
            connection.execute(
                f"""
                create or replace temp table gone as
                select * from {table_name(spec)} where _record_id not in (
                    select _record_id from rebuilt.{table_name(spec)}
                )
                """
            )
            connection.execute(f"drop table {table_name(spec)}")
        ensure_table(connection, spec)
        live, deleted = _copy(connection, spec, load_seq, "")
        if exists:
            deleted += _bury_gone(connection, spec, load_seq)
        connection.execute(
            "delete from ops.landed_file where stream = ? and expired_at is null",
            [spec.name],
        )
        connection.execute(
            """
            insert into ops.landed_file by name
            select * replace (?::bigint as load_seq) from rebuilt.ops.landed_file
            where content_sha256 not in (
                select content_sha256 from ops.landed_file where stream = ?
            )
            """,
            [load_seq, spec.name],
        )
        result = result_of(
            Folded(inserted=live, deleted=deleted),
            load_seq,
            quarantined=_requarantine(connection, spec, load_seq, ""),
            notes=("reset: loaded again from nothing",),
        )
        record_load(connection, spec, result, started_at)
    return result


def _copy(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, load_seq: int, where: str
) -> tuple[int, int]:
    """Copy rebuilt rows; returns how many are live and how many are tombstones."""
    connection.execute(
        f"""
        insert into {table_name(spec)} by name
        select * replace (?::bigint as _load_seq) from rebuilt.{table_name(spec)}
        {where}
        """,
        [load_seq],
    )
    row = connection.execute(
        f"""
        select count(*) filter (not _is_deleted), count(*) filter (_is_deleted)
        from {table_name(spec)} where _load_seq = ?
        """,
        [load_seq],
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _bury_gone(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, load_seq: int
) -> int:
    there = {
        name
        for (name,) in connection.execute(
            "select column_name from (describe gone)"
        ).fetchall()
    }
    types = {
        name: type_
        for name, type_ in connection.execute(
            f"select column_name, column_type from (describe {table_name(spec)})"
        ).fetchall()
    }
    # No time: whatever a file says of the record later is newer. A key whose type was
    # declared anew is cast to it, as far as it can be.
    keys = "".join(
        f"try_cast({quoted(name)} as {types[name]}) as {quoted(name)}, "
        for name in spec.primary_key
        if name in there
    )
    row = connection.execute(
        f"""
        insert into {table_name(spec)} by name
        select {keys} _record_id, _file, _line, ?::bigint as _load_seq,
            null::timestamp as _modified_at, true as _is_deleted, '' as _row_hash
        from gone
        """,
        [load_seq],
    ).fetchone()
    connection.execute("drop table gone")
    return int(row[0]) if row else 0


def _requarantine(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, load_seq: int, where: str
) -> int:
    """Replace what lies in quarantine by what the rebuild put there; how many more."""
    removed = connection.execute(
        f"""
        delete from ops.quarantine
        where stream = ? and replayed_load_seq is null {where}
        """,
        [spec.name],
    ).fetchone()
    added = connection.execute(
        """
        insert into ops.quarantine by name
        select * replace (?::bigint as load_seq) from rebuilt.ops.quarantine
        """,
        [load_seq],
    ).fetchone()
    return (int(added[0]) if added else 0) - (int(removed[0]) if removed else 0)


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, scratch: Path) -> Iterator[None]:
    path = str(scratch).replace("'", "''")
    connection.execute(f"attach '{path}' as rebuilt (read_only)")
    try:
        yield
    finally:
        connection.execute("detach rebuilt")
