"""The DuckDB warehouse: one file, one writer at a time, its schema by migrations.

DuckDB admits one writing process, and refuses even a reader beside it. Every path
that touches the file therefore takes the same file lock first: exclusive to write,
shared to read. The lock names its holder, so whoever waits can say for whom. Who opens
the file without the lock, such as a database client, is waited for as well.
"""

import contextlib
import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from cdp_assets import lock
from cdp_assets.errors import OperatorError
from cdp_assets.lock import WarehouseBusyError as WarehouseBusyError
from cdp_assets.paths import PACKAGE, Paths

MIGRATIONS = PACKAGE / "migrations"
# How DuckDB says which process has the file open: its own lock, not ours.
_OPENED_BY = re.compile(r"Conflicting lock is held in (.*?)\. ", re.DOTALL)


class NotLoadedError(OperatorError, FileNotFoundError):
    """There is no warehouse yet; the message says how to make one."""


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
            contextlib.closing(self._open(read_only=False)) as connection,
        ):
            _session(connection, self.paths)
            migrate(connection)
            yield connection

    @contextlib.contextmanager
    def reading(self, purpose: str = "reading") -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse read-only for the length of the block.

        Raises:
            NotLoadedError: Nothing was loaded yet.
        """
        self.must_exist()
        with (
            self.locked(purpose, exclusive=False),
            contextlib.closing(self._open(read_only=True)) as connection,
        ):
            _session(connection, self.paths)
            yield connection

    @contextlib.contextmanager
    def locked(self, purpose: str, *, exclusive: bool = True) -> Iterator[None]:
        """Hold the lock without opening the file, as for a dbt subprocess.

        Raises:
            WarehouseBusyError: The lock was not free within the waiting time.
        """
        with lock.held(
            self.paths.lock,
            purpose,
            exclusive=exclusive,
            wait_seconds=self._wait_seconds,
            say=self._say,
        ):
            yield

    def must_exist(self) -> None:
        """Refuse to go on where nothing was loaded yet.

        Raises:
            NotLoadedError: Says how to load something.
        """
        # While a restore exchanges the files there is none for a moment.
        self._refuse_half_restored()
        if not self.paths.warehouse.exists():
            raise NotLoadedError(
                f"{self.paths.warehouse.name} does not exist yet: load something "
                "first, for instance with `make run`"
            )

    def _refuse_half_restored(self) -> None:
        if self.paths.restoring.exists():
            raise RuntimeError(
                "a restore did not finish, and the warehouse and the outbox may be of "
                "different days: repeat it, `cdp restore FOLDER --replace`"
            )

    def holder(self) -> str:
        """Who holds the lock, in words."""
        return lock.holder(self.paths.lock)

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Connect; wait for a process that has the file open without the lock."""
        self._refuse_half_restored()
        deadline = time.monotonic() + self._wait_seconds
        told = False
        while True:
            try:
                return duckdb.connect(str(self.paths.warehouse), read_only=read_only)
            except duckdb.IOException as error:
                found = _OPENED_BY.search(str(error))
                if found is None:
                    raise
                opened_by = f"{found[1]}, which opened it without its lock"
                if time.monotonic() >= deadline:
                    raise WarehouseBusyError(
                        f"the warehouse is open in {opened_by}; waited "
                        f"{self._wait_seconds:.0f} s. End that process, or wait for it."
                    ) from None
            if not told:
                self._say(f"{lock.WAITING}, open in {opened_by}")
                told = True
            time.sleep(0.2)


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


def refuse_outdated(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse to read a warehouse that an earlier version wrote last.

    Raises:
        NotLoadedError: Says how to bring it up to date.
    """
    newest = max(int(path.name[:4]) for path in MIGRATIONS.glob("[0-9]*.sql"))
    rows = connection.execute("select max(version) from ops.migration").fetchall()
    if rows[0][0] < newest:
        raise NotLoadedError(
            "the warehouse was written by an earlier version: `cdp run` brings it up "
            "to date"
        )


def utc_now() -> dt.datetime:
    """Now in UTC without a zone, as the warehouse keeps every instant."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def _session(connection: duckdb.DuckDBPyConnection, paths: Paths) -> None:
    connection.execute("set timezone = 'UTC'")
    # Spill beside the warehouse, not into whatever folder the process started in.
    connection.execute(
        "set temp_directory = ?", [str(paths.root / "warehouse.duckdb.tmp")]
    )
