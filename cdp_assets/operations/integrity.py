"""Whether every block of every file can still be read."""

import contextlib
import sqlite3
from pathlib import Path

import duckdb

from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse


def check_thoroughly(paths: Paths) -> list[str]:
    """Read every block of the warehouse and of the SQLite files.

    Takes the time of reading them; the warehouse's readers need not wait, writers do.

    Returns:
        What is damaged, in words; empty when nothing is.
    """
    damaged = []
    if paths.warehouse.exists():
        try:
            with Warehouse(paths).reading("a check of every block") as connection:
                for schema, name in connection.execute(
                    """
                    select schema_name, table_name from duckdb_tables()
                    where database_name = current_database() and not temporary
                    """
                ).fetchall():
                    connection.execute(
                        f'select bit_xor(hash(t)) from "{schema}"."{name}" as t'
                    ).fetchone()
        except duckdb.Error as error:
            damaged.append(f"{paths.warehouse.name}: {str(error).splitlines()[0]}")
    for path in (paths.outbox, *sorted(paths.serving.glob("*.sqlite"))):
        if path.exists():
            damaged.extend(_sqlite_damage(path))
    return damaged


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a SQLite file that is there; nothing is made or changed."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)


def _sqlite_damage(path: Path) -> list[str]:
    try:
        with contextlib.closing(open_read_only(path)) as store:
            verdict = store.execute("pragma integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        verdict = str(error)
    return [] if verdict == "ok" else [f"{path.name}: {verdict}"]
