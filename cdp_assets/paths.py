"""Where the runtime data lives: one folder, named once.

``CDP_DATA`` names the folder; without it, ``data`` under the working directory.
Nothing here creates or reads a file.
"""

import os
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent
PROJECT = PACKAGE.parent
DBT_PROJECT = PROJECT / "dbt_project"


@dataclass(frozen=True)
class Paths:
    """The layout of the runtime folder."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Paths":
        """Read the folder from ``CDP_DATA``; default ``data`` beside the package."""
        return cls(Path(os.environ.get("CDP_DATA") or PROJECT / "data").resolve())

    @property
    def inbox(self) -> Path:
        """Where people and partners drop files, one folder per stream."""
        return self.root / "inbox"

    @property
    def landing(self) -> Path:
        """Complete, immutable files, one folder per stream."""
        return self.root / "landing"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def lock(self) -> Path:
        """The file whose lock admits one writer."""
        return self.root / "warehouse.lock"

    @property
    def outbox(self) -> Path:
        """The SQLite file of planned deliveries, attempts and receipts."""
        return self.root / "outbox.sqlite"

    @property
    def serving(self) -> Path:
        """Profile documents and the analysts' snapshots."""
        return self.root / "serving"

    @property
    def outgoing(self) -> Path:
        """Where file destinations write when their YAML names no other folder."""
        return self.root / "outgoing"

    @property
    def samples(self) -> Path:
        """The generated sample sources and, apart from them, their truth."""
        return self.root / "samples"

    @property
    def pinned_as_of(self) -> Path:
        """Holds the instant that runs take as now; absent: the clock is live."""
        return self.root / "as_of"

    @property
    def backups(self) -> Path:
        """Where backups go: ``CDP_BACKUPS``, best on another disk; else here."""
        return Path(os.environ.get("CDP_BACKUPS") or self.root / "backups").resolve()

    @property
    def restoring(self) -> Path:
        """There while a restore exchanges files: the warehouse must not be opened."""
        return self.root / "restoring"
