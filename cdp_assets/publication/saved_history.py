"""The changes of fields in a backup: the part of the store that no run makes anew."""

import contextlib
import sqlite3
from pathlib import Path

from cdp_assets.paths import Paths
from cdp_assets.publication import field_history
from cdp_assets.publication.store import store_path, writing

TABLES = ("field_change", "field_followed")


def save(paths: Paths, target: Path) -> dict[str, int] | None:
    """Copy the history into a SQLite file of its own.

    Returns:
        The rows of each table; None where nothing was published yet.
    """
    if not store_path(paths).exists():
        return None
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.executescript(field_history.SCHEMA)
        copy.execute("attach ? as store", [str(store_path(paths))])
        names = copy.execute("select name from store.sqlite_master").fetchall()
        copy.execute("begin")
        for table in TABLES:
            # A store of before the history has none.
            if (table,) in names:
                copy.execute(f"insert into main.{table} select * from store.{table}")
        copy.execute("commit")
        return count(copy)


def count(store: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table of the history has."""
    return {
        table: int(store.execute(f"select count(*) from {table}").fetchone()[0])
        for table in TABLES
    }


def put_back(paths: Paths, saved: Path) -> None:
    """Take up a saved history, unless the store has one: that is no older."""
    with (
        writing(paths) as store,
        contextlib.closing(sqlite3.connect(saved)) as source,
    ):
        if store.execute("select 1 from field_followed limit 1").fetchone():
            return
        for table in TABLES:
            rows = source.execute(f"select * from {table}")
            marks = ", ".join("?" * len(rows.description))
            store.executemany(f"insert into {table} values ({marks})", rows)
