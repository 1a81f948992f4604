"""The outbox: a SQLite file between planning, which holds the warehouse, and delivery.

Here live its opening, its schema and its clock format. Payloads hold personal data, so
the file is readable by its owner only. Commits survive a killed process; a power
failure may take back the last ones, which then are sent again under the same key.
"""

import contextlib
import datetime as dt
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from cdp_assets import lock
from cdp_assets.paths import PACKAGE

SCHEMA = PACKAGE / "activation" / "schema"


class Outbox:
    """Opens the outbox of a runtime folder."""

    def __init__(self, path: Path) -> None:
        """Remember where the outbox is; nothing is opened yet."""
        self.path = path

    @contextlib.contextmanager
    def connect(self, *, threads: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the outbox, created and migrated if need be, for the block.

        Args:
            threads: Let several threads use the connection, one at a time.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the main file.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self.path.chmod(0o600)
        with contextlib.closing(
            sqlite3.connect(
                self.path,
                timeout=300,
                isolation_level=None,
                check_same_thread=not threads,
            )
        ) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            # What was erased or nulled must not stay readable in free pages.
            connection.execute("pragma secure_delete = on")
            # With foreign keys on, a migration could not replace a table they lead to.
            _migrate(connection)
            connection.execute("pragma foreign_keys = on")
            yield connection

    @contextlib.contextmanager
    def sole_deliverer(self, activation: str) -> Iterator[bool]:
        """Hold the right to deliver ``activation``; False where another has it."""
        path = self.path.with_name(f"{self.path.name}.{activation}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock.alone(path) as got:
            yield got


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or none of it; waits for other writers first."""
    connection.execute("begin immediate")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def as_text(instant: dt.datetime) -> str:
    """Write a naive UTC instant the way the outbox keeps it."""
    return instant.isoformat(sep="T", timespec="microseconds")


def as_instant(text: str | None) -> dt.datetime | None:
    """Read an instant as the outbox keeps it."""
    return None if text is None else dt.datetime.fromisoformat(text)


def last_sequence(connection: sqlite3.Connection) -> int:
    """The highest sequence that was copied in; 0 where there is none."""
    (last,) = connection.execute(
        "select coalesce(max(sequence), 0) from outbox"
    ).fetchone()
    return int(last)


def states(connection: sqlite3.Connection, activation: str) -> dict[str, int]:
    """How many changes of ``activation`` stand in each state."""
    return dict(
        connection.execute(
            "select state, count(*) from outbox where activation = ? group by state",
            [activation],
        ).fetchall()
    )


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("pragma user_version").fetchone()
    for path in sorted(SCHEMA.glob("[0-9]*.sql")):
        number = int(re.match(r"\d+", path.name).group())  # type: ignore[union-attr]
        if number <= version:
            continue
        # A second process may be doing the same: whoever waits finds it done.
        with transaction(connection):
            (version,) = connection.execute("pragma user_version").fetchone()
            if number <= version:
                continue
            for statement in path.read_text(encoding="utf-8").split(";\n"):
                connection.execute(statement)
            connection.execute(f"pragma user_version = {number}")
