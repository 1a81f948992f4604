"""One table of the snapshot as files: a base, and what changed since it was written.

dmo/individual.parquet           the table, where nothing has changed since
dmo/individual.hashes.parquet    a hash per row of it, in its order
dmo/individual.base.parquet      the same file, once rows of it are no more ...
dmo/individual.removed.parquet   ... at these positions ...
dmo/individual.added.parquet     ... and these have come

A million rows take 1.3 s of processor to compress and 0.2 to hash, so a wave of a
thousand changes writes those alone. The base changes its name then, so that nobody who
opens files and not the catalogue takes yesterday's rows for the table.

A base holds what it was written with, erased people too. So one that leaves rows out is
written anew once it is a day old, whether the table changed since or not.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from cdp_assets.declarations import quoted

# What was erased lies no longer than this in a file that readers are shown.
OLDEST_BASE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class TableFiles:
    """Where the files of one table of one version are."""

    home: Path
    name: str
    """``schema.table``."""

    @property
    def whole(self) -> Path:
        return self._file("parquet")

    @property
    def base(self) -> Path:
        return self._file("base.parquet")

    @property
    def hashes(self) -> Path:
        return self._file("hashes.parquet")

    @property
    def removed(self) -> Path:
        return self._file("removed.parquet")

    @property
    def added(self) -> Path:
        return self._file("added.parquet")

    def is_stale(self) -> bool:
        """Whether rows that are no more have stood in the base for too long."""
        return self.base.exists() and (
            time.time() - self.base.stat().st_mtime > OLDEST_BASE_SECONDS
        )

    def link(self, before: "TableFiles") -> bool:
        """Be what ``before`` is; False where the file system has no hard links."""
        pairs = zip(before.all(), self.all(), strict=True)
        present = [(old, new) for old, new in pairs if old.exists()]
        return bool(present) and all(hard_link(old, new) for old, new in present)

    def all(self) -> tuple[Path, ...]:
        """Every file that a table may have."""
        return (self.whole, self.base, self.hashes, self.removed, self.added)

    def select(self) -> str:
        """The SELECT that a view of this table is.

        DuckDB resolves a relative path against the reader's working folder, hence whole
        paths.
        """
        if self.whole.exists():
            return f"select * from read_parquet({literal(self.whole)})"
        return f"""
            select * exclude (file_row_number)
            from read_parquet({literal(self.base)}, file_row_number = true) as base
            anti join read_parquet({literal(self.removed)}) as removed
                on base.file_row_number = removed.position
            union all
            select * from read_parquet({literal(self.added)})
        """

    def _file(self, kind: str) -> Path:
        return self.home / f"{self.name.replace('.', '/')}.{kind}"


def dotted(table: str) -> str:
    """``schema.table`` as it stands in SQL."""
    return ".".join(quoted(part) for part in table.split("."))


def in_quotes(column: str) -> str:
    """A column's name as it stands in SQL; a source's may hold anything."""
    return '"' + column.replace('"', '""') + '"'


def hard_link(old: Path, new: Path) -> bool:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        new.hardlink_to(old)
    except OSError:  # no hard links on this file system: the table is written again
        return False
    return True


def literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
