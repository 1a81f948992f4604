"""Named points of a run at which it is killed.

Each is looked at from outside, so nothing in the product knows of being killed.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from cdp_assets import lock


def purpose(root: Path) -> str:
    """What the warehouse is held for at this moment; empty where nobody writes."""
    writers = [each for each in lock.holders(root / "warehouse.lock") if not each.reads]
    return writers[0].purpose if writers else ""


def has_landed(root: Path) -> bool:
    return any(True for _ in root.glob("landing/*/[0-9]*")) and not purpose(root)


def is_loading(root: Path) -> bool:
    return purpose(root).startswith("loading") and log_grows(root)


def log_grows(root: Path) -> bool:
    """A transaction is being written to DuckDB's log, and is not in the file yet."""
    with contextlib.suppress(FileNotFoundError):
        return (root / "warehouse.duckdb.wal").stat().st_size > 0
    return False


def is_delivering(root: Path) -> bool:
    """A change is at its destination, or came back and no run has heard of it."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{root / 'outbox.sqlite'}?mode=ro", uri=True)
        ) as outbox:
            (under_way,) = outbox.execute(
                """
                select exists (select 1 from outbox where state = 'delivering')
                    or exists (
                        select 1 from receipt where position > (
                            select coalesce(max(last_position), 0) from landing
                        )
                    )
                """
            ).fetchone()
    except sqlite3.Error:
        return False
    return bool(under_way)


POINTS: dict[str, Callable[[Path], bool]] = {
    "after the landing rename": has_landed,
    "before a load commits": lambda root: purpose(root).startswith("loading"),
    "as a load commits": is_loading,
    "between dlo and dmo": lambda root: purpose(root) == "starting dbt",
    "as dbt begins": lambda root: purpose(root).startswith("dbt build of harmon"),
    "as dbt writes": lambda root: purpose(root).startswith("dbt") and log_grows(root),
    "during identity": lambda root: purpose(root) == "identity resolution",
    "as identity promotes": lambda root: (
        purpose(root) == "identity resolution" and log_grows(root)
    ),
    "after identity promoted": lambda root: purpose(root).startswith(
        "dbt build of cus"
    ),
    "as segments move": lambda root: purpose(root).startswith("segment"),
    "as changes are planned": lambda root: purpose(root).startswith("planning"),
    "during delivery": is_delivering,
    "as receipts are loaded": lambda root: purpose(root).startswith("receipts"),
}
