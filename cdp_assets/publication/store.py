"""The SQLite file of profile documents, lookup keys, and changes of fields.

Readers of the last publication go on while the next one is written.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cdp_assets.paths import Paths
from cdp_assets.publication import field_history

SCHEMA = """
create table if not exists profile (
    unified_individual_id text primary key,
    content_hash text not null,
    document text not null,
    signature text not null default ''
);
create table if not exists lookup (
    key_kind text not null,
    key text not null,
    unified_individual_id text not null,
    primary key (key_kind, key, unified_individual_id)
) without rowid;
create index if not exists lookup_person on lookup (unified_individual_id);
"""


def store_path(paths: Paths) -> Path:
    """The SQLite file of documents and keys."""
    return paths.serving / "profiles.sqlite"


@contextlib.contextmanager
def writing(paths: Paths) -> Iterator[sqlite3.Connection]:
    """Open the store for one publication: all of the block, or none of it."""
    paths.serving.mkdir(parents=True, exist_ok=True)
    _remove_orphans(store_path(paths))
    with contextlib.closing(
        sqlite3.connect(store_path(paths), isolation_level=None, timeout=60)
    ) as store:
        # Readers of the last state go on while the next one is written.
        store.execute("pragma journal_mode = wal")
        store.execute("pragma synchronous = normal")
        # 256 MB: keys arrive in no order, and a B-tree outside memory crawls.
        store.execute("pragma cache_size = -262144")
        # Nor may what was erased stay readable in free pages.
        store.execute("pragma secure_delete = on")
        store.executescript(SCHEMA + field_history.SCHEMA)
        if "signature" not in _columns(store):
            # A store of before signatures: everybody is looked at once.
            store.execute(
                "alter table profile add column signature text not null default ''"
            )
        store.execute("begin immediate")
        try:
            yield store
        except BaseException:
            store.execute("rollback")
            raise
        store.execute("commit")
        # Readers that stay connected would keep the log, and in it what was erased; it
        # would also be read through at every look. They are waited for, but not long.
        store.execute("pragma busy_timeout = 5000")
        store.execute("pragma wal_checkpoint(truncate)")


def _remove_orphans(path: Path) -> None:
    """Remove the log and index that a store left that is itself no more.

    They are of no use without it and hold what people were. SQLite drops a log it finds
    beside a new file, but for one that a reader of the lost store has open it stops
    with "disk I/O error". Such a reader keeps its own.
    """
    if not path.exists():
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _columns(store: sqlite3.Connection) -> set[str]:
    return {row[1] for row in store.execute("pragma table_info(profile)")}
