"""The DuckDB warehouse: one file, one writer at a time, its schema by migrations.

DuckDB admits one writing process, and refuses even a reader beside it. Every path
that touches the file therefore takes the same file lock first: exclusive to write,
shared to read. The lock names its holder, so whoever waits can say for whom.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from cdp_assets.paths import PACKAGE, Paths

MIGRATIONS = PACKAGE / "migrations"


class WarehouseBusyError(TimeoutError):
    """The lock was not free in time; the message names who held it."""


class Warehouse:
    """Opens the warehouse under its lock."""

    def __init__(
        self,
        paths: Paths,
        *,
        wait_seconds: float = 3600,
        say: Callable[[str], None] = print,
    ) -> None:
        """Remember where the warehouse is; nothing is opened yet.

        Args:
            paths: The runtime folder.
            wait_seconds: How long to wait for the lock before giving up.
            say: Told once, in words, when there is somebody to wait for.
        """
        self.paths = paths
        self._wait_seconds = wait_seconds
        self._say = say

    @contextlib.contextmanager
    def writing(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse for writing, migrated, for the length of the block."""
        with (
            self.locked(purpose),
            contextlib.closing(duckdb.connect(str(self.paths.warehouse))) as connection,
        ):
            _session(connection, self.paths)
            migrate(connection)
            yield connection

    @contextlib.contextmanager
    def reading(self, purpose: str = "reading") -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse read-only for the length of the block.

        Raises:
            FileNotFoundError: Nothing was loaded yet.
        """
        if not self.paths.warehouse.exists():
            raise FileNotFoundError(
                f"{self.paths.warehouse.name} does not exist yet: load something "
                "first, for instance with `make run`"
            )
        with (
            self.locked(purpose, exclusive=False),
            contextlib.closing(
                duckdb.connect(str(self.paths.warehouse), read_only=True)
            ) as connection,
        ):
            _session(connection, self.paths)
            yield connection

    @contextlib.contextmanager
    def locked(self, purpose: str, *, exclusive: bool = True) -> Iterator[None]:
        """Hold the lock without opening the file, as for a dbt subprocess.

        Raises:
            WarehouseBusyError: The lock was not free within the waiting time.
        """
        self.paths.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._acquire(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            if exclusive:
                _sign(handle, purpose)
            yield
        finally:
            os.close(handle)

    def _acquire(self, handle: int, mode: int) -> None:
        deadline = time.monotonic() + self._wait_seconds
        told = False
        while True:
            try:
                fcntl.flock(handle, mode | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    self._say(f"waiting for the warehouse, held by {self.holder()}")
                    told = True
                if time.monotonic() >= deadline:
                    raise WarehouseBusyError(
                        f"the warehouse is held by {self.holder()}; waited "
                        f"{self._wait_seconds:.0f} s. Try again when it is done."
                    ) from None
                time.sleep(0.05)
            else:
                return

    def holder(self) -> str:
        """Who last took the lock for writing, in words."""
        try:
            held = json.loads(self.paths.lock.read_text())
        except (OSError, ValueError):
            return "a reader"
        return f"{held['purpose']} (process {held['pid']}, since {held['since']})"


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of the block, or none of it."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def migrate(connection: duckdb.DuckDBPyConnection, folder: Path = MIGRATIONS) -> int:
    """Apply the numbered migrations that this warehouse has not seen.

    Returns:
        How many were applied.
    """
    connection.execute(
        """
        create schema if not exists ops;
        create table if not exists ops.migration (
            version integer primary key, name varchar, applied_at timestamp
        )
        """
    )
    applied = {
        row[0]
        for row in connection.execute("select version from ops.migration").fetchall()
    }
    count = 0
    for path in sorted(folder.glob("[0-9]*.sql")):
        version = int(re.match(r"\d+", path.name).group())  # type: ignore[union-attr]
        if version in applied:
            continue
        with transaction(connection):
            connection.execute(path.read_text(encoding="utf-8"))
            connection.execute(
                "insert into ops.migration values (?, ?, ?)",
                [version, path.stem, utc_now()],
            )
        count += 1
    return count


def utc_now() -> dt.datetime:
    """Now in UTC without a zone, as the warehouse keeps every instant."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def _session(connection: duckdb.DuckDBPyConnection, paths: Paths) -> None:
    connection.execute("set timezone = 'UTC'")
    # Spill beside the warehouse, not into whatever folder the process started in.
    connection.execute(
        "set temp_directory = ?", [str(paths.root / "warehouse.duckdb.tmp")]
    )


def _sign(handle: int, purpose: str) -> None:
    note = {
        "purpose": purpose,
        "pid": os.getpid(),
        "since": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(note).encode(), 0)
