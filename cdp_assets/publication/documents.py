"""Profile documents and lookup keys in SQLite, for readers that must not wait.

One transaction per publication, so a reader sees the people before it or after it. A
document is built for people whose facts have another signature than the one kept with
it, and written where it or its keys differ: what a publication builds and writes is
proportional to what changed, and a second one writes nothing.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from cdp_assets.governance.answers import gather_answers
from cdp_assets.paths import Paths
from cdp_assets.publication import document_sql, field_history
from cdp_assets.publication.store import writing
from cdp_assets.warehouse import utc_now

# Peaks at 1.0 GB; 50,000 at once peak at 1.3 GB and are no faster.
PEOPLE_AT_ONCE = 20_000
ROWS_PER_BATCH = 10_000


@dataclass(frozen=True)
class PublishResult:
    """What a publication did to the people in the store."""

    upserted: int
    deleted: int
    unchanged: int
    total: int


class NotBuiltError(LookupError):
    """Tables that publication reads do not exist; the message names them."""


def publish_documents(
    connection: duckdb.DuckDBPyConnection, paths: Paths
) -> PublishResult:
    """Bring the store in line with the warehouse, in one transaction of the store.

    Args:
        connection: An open warehouse; reading is enough.
        paths: The runtime folder.

    Raises:
        NotBuiltError: The tables to publish are not all there.
    """
    _require(connection, document_sql.READS)
    gather_answers(connection)
    documents = document_sql.sign(connection)
    upserted = 0
    with writing(paths) as store:
        occasion = field_history.begin(
            store, *_last_run(connection), document_sql.traced_fields(connection)
        )
        _read_stored(connection, store)
        gone = _remove_gone(connection, store)
        changed = _find_changed(connection)
        for first in range(0, changed, PEOPLE_AT_ONCE):
            _choose(connection, first)
            document_sql.build(connection, documents)
            upserted += _write(connection, store, occasion)
        # Last, for the values that this publication noted of records that are gone.
        field_history.forget_gone(connection, store)
    total = _count(connection, "unified.unified_individual")
    return PublishResult(upserted, gone, total - upserted, total)


def _require(connection: duckdb.DuckDBPyConnection, tables: tuple[str, ...]) -> None:
    missing = connection.execute(
        """
        select string_agg(name, ', ' order by name)
        from (select unnest($tables) as name)
        where name not in (
            select table_schema || '.' || table_name from information_schema.tables
        )
        """,
        {"tables": list(tables)},
    ).fetchone()
    if missing and missing[0]:
        raise NotBuiltError(
            f"cannot publish: {missing[0]} not built yet; run the stages before "
            "publication first, for instance with `make run`"
        )


def _last_run(connection: duckdb.DuckDBPyConnection) -> tuple[int, dt.datetime]:
    """The run that made what is published, and what it takes as now (UTC)."""
    row = connection.execute(
        "select run, as_of from ops.run order by run desc limit 1"
    ).fetchone()
    return (int(row[0]), row[1]) if row else (0, utc_now())


def _read_stored(
    connection: duckdb.DuckDBPyConnection, store: sqlite3.Connection
) -> None:
    """What the store has of everybody, in a temporary table: ``publication_stored``."""
    import pyarrow as pa

    names = ("unified_individual_id", "content_hash", "signature")
    connection.execute(
        f"""
        create or replace temp table publication_stored (
            {", ".join(f"{name} varchar" for name in names)}
        )
        """
    )
    found = store.execute(f"select {', '.join(names)} from profile")
    while batch := found.fetchmany(ROWS_PER_BATCH * 10):
        columns = zip(*batch, strict=True)
        connection.register(
            "publication_batch", pa.table(dict(zip(names, columns, strict=True)))
        )
        connection.execute("insert into publication_stored from publication_batch")
        connection.unregister("publication_batch")


def _remove_gone(
    connection: duckdb.DuckDBPyConnection, store: sqlite3.Connection
) -> int:
    """Remove who is nobody any more, with their keys; returns how many."""
    gone = connection.execute(
        """
        select unified_individual_id from publication_stored
        anti join unified.unified_individual using (unified_individual_id)
        """
    ).fetchall()
    store.executemany("delete from profile where unified_individual_id = ?", gone)
    store.executemany("delete from lookup where unified_individual_id = ?", gone)
    return len(gone)


def _find_changed(connection: duckdb.DuckDBPyConnection) -> int:
    """Number the people whose facts changed: ``publication_news``; how many."""
    connection.execute(
        """
        create or replace temp table publication_news as
        select
            unified_individual_id,
            row_number() over (order by unified_individual_id) - 1 as number
        from publication_signature as now
        left join publication_stored as stored using (unified_individual_id)
        where now.signature is distinct from stored.signature
        """
    )
    return _count(connection, "publication_news")


def _choose(connection: duckdb.DuckDBPyConnection, first: int) -> None:
    """The next people to build documents of: ``publication_person``."""
    connection.execute(
        """
        create or replace temp table publication_person as
        select unified_individual_id from publication_news
        where number >= $first and number < $first + $people
        """,
        {"first": first, "people": PEOPLE_AT_ONCE},
    )


def _write(
    connection: duckdb.DuckDBPyConnection,
    store: sqlite3.Connection,
    occasion: field_history.Occasion,
) -> int:
    """Replace the documents that differ, and note what did; returns how many."""
    stale = connection.execute(
        "select unified_individual_id from publication_changed "
        "where is_stored and is_different"
    ).fetchall()
    field_history.take_old(connection, store, stale)
    field_history.note_changes(connection, store, occasion)
    store.executemany("delete from lookup where unified_individual_id = ?", stale)
    for batch in _batches(
        connection,
        """
        select unified_individual_id, content_hash, document, signature
        from publication_changed where is_different
        """,
    ):
        store.executemany("insert or replace into profile values (?, ?, ?, ?)", batch)
    for batch in _batches(
        connection,
        """
        select kind, key, unified_individual_id from publication_key
        semi join (select * from publication_changed where is_different)
            using (unified_individual_id)
        order by kind, key, unified_individual_id
        """,
    ):
        store.executemany("insert into lookup values (?, ?, ?)", batch)
    for batch in _batches(
        connection,
        "select signature, unified_individual_id from publication_changed "
        "where not is_different",
    ):
        store.executemany(
            "update profile set signature = ? where unified_individual_id = ?", batch
        )
    return _count(connection, "publication_changed where is_different")


def _batches(
    connection: duckdb.DuckDBPyConnection, query: str
) -> Iterator[list[tuple[str, ...]]]:
    result = connection.execute(query)
    while batch := result.fetchmany(ROWS_PER_BATCH):
        yield batch


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
