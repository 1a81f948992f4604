"""Profile documents and lookup keys in SQLite, for readers that must not wait.

One transaction per publication, so a reader sees the people before it or after it. A
person whose document and keys hash as they did is not touched: what a publication
writes is proportional to what changed, and a second one writes nothing.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.governance.answers import gather_answers
from cdp_assets.paths import Paths
from cdp_assets.publication import document_sql

SCHEMA = """
create table if not exists profile (
    unified_individual_id text primary key,
    content_hash text not null,
    document text not null
);
create table if not exists lookup (
    key_kind text not null,
    key text not null,
    unified_individual_id text not null,
    primary key (key_kind, key, unified_individual_id)
) without rowid;
create index if not exists lookup_person on lookup (unified_individual_id);
"""

# Peaks at 1.0 GB; ranges of 50,000 peak at 1.3 GB and are no faster.
PEOPLE_PER_RANGE = 20_000
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


def store_path(paths: Paths) -> Path:
    """The SQLite file of documents and keys."""
    return paths.serving / "profiles.sqlite"


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
    query = document_sql.documents(connection)
    upserted = deleted = 0
    with _store(paths) as store:
        for low, high in _ranges(connection):
            gone = _compare(connection, store, query, low, high)
            deleted += len(gone)
            upserted += _write(connection, store, gone)
    total = _count(connection, "unified.unified_individual")
    return PublishResult(upserted, deleted, total - upserted, total)


@contextlib.contextmanager
def _store(paths: Paths) -> Iterator[sqlite3.Connection]:
    paths.serving.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(
        sqlite3.connect(store_path(paths), isolation_level=None, timeout=60)
    ) as store:
        # Readers of the last state go on while the next one is written.
        store.execute("pragma journal_mode = wal")
        store.execute("pragma synchronous = normal")
        # 256 MB: keys arrive in no order, and a B-tree outside memory crawls.
        store.execute("pragma cache_size = -262144")
        store.executescript(SCHEMA)
        store.execute("begin immediate")
        try:
            yield store
        except BaseException:
            store.execute("rollback")
            raise
        store.execute("commit")


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


def _ranges(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None]]:
    """Half-open ranges of ids; together they hold every id there could be."""
    starts = [
        row[0]
        for row in connection.execute(
            """
            select unified_individual_id from (
                select unified_individual_id,
                    row_number() over (order by unified_individual_id) as position
                from unified.unified_individual
            ) where position % $people = 0 order by 1
            """,
            {"people": PEOPLE_PER_RANGE},
        ).fetchall()
    ]
    return list(zip(["", *starts], [*starts, None], strict=True))


def _compare(
    connection: duckdb.DuckDBPyConnection,
    store: sqlite3.Connection,
    query: str,
    low: str,
    high: str | None,
) -> list[tuple[str]]:
    """Build one range's documents; those new or different stay in a temporary table.

    Returns:
        The ids in the store that are nobody's any more.
    """
    import pyarrow as pa

    bounds = {"low": low, "high": high}
    connection.execute(document_sql.LINKS, bounds)
    connection.execute(document_sql.KEYS, bounds)
    stored = store.execute(
        "select unified_individual_id, content_hash from profile where "
        "unified_individual_id >= ?1 and (?2 is null or unified_individual_id < ?2)",
        (low, high),
    ).fetchall()
    connection.register(
        "publication_stored",
        pa.table(
            {
                "unified_individual_id": pa.array([i for i, _ in stored], pa.string()),
                "content_hash": pa.array([h for _, h in stored], pa.string()),
            }
        ),
    )
    connection.execute(document_sql.CHANGED.format(documents=query), bounds)
    return connection.execute(
        """
        select unified_individual_id from publication_stored
        anti join unified.unified_individual using (unified_individual_id)
        """
    ).fetchall()


def _write(
    connection: duckdb.DuckDBPyConnection,
    store: sqlite3.Connection,
    gone: list[tuple[str]],
) -> int:
    """Replace what changed and remove who is gone; returns how many were replaced."""
    store.executemany("delete from profile where unified_individual_id = ?", gone)
    stale = connection.execute(
        "select unified_individual_id from publication_changed where is_stored"
    ).fetchall()
    store.executemany(
        "delete from lookup where unified_individual_id = ?", [*gone, *stale]
    )
    for batch in _batches(
        connection,
        "select unified_individual_id, content_hash, document from publication_changed",
    ):
        store.executemany("insert or replace into profile values (?, ?, ?)", batch)
    for batch in _batches(
        connection,
        """
        select kind, key, unified_individual_id from publication_key
        semi join publication_changed using (unified_individual_id)
        order by kind, key, unified_individual_id
        """,
    ):
        store.executemany("insert into lookup values (?, ?, ?)", batch)
    return _count(connection, "publication_changed")


def _batches(
    connection: duckdb.DuckDBPyConnection, query: str
) -> Iterator[list[tuple[str, ...]]]:
    result = connection.execute(query)
    while batch := result.fetchmany(ROWS_PER_BATCH):
        yield batch


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
