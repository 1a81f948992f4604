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

import duckdb

from cdp_assets.declarations import quoted

# A smaller table is written whole, in less time than its changes are found.
SMALL = 10_000
# What was erased lies no longer than this in a file that readers are shown.
OLDEST_BASE_SECONDS = 24 * 3600
# From this share of changed rows on the table is written whole: its readers pay for
# every row that has to be left out.
MOST_CHANGED = 0.1


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
        return bool(present) and all(_hard_link(old, new) for old, new in present)

    def all(self) -> tuple[Path, ...]:
        """Every file that a table may have."""
        return (self.whole, self.base, self.hashes, self.removed, self.added)

    def select(self) -> str:
        """The SELECT that a view of this table is.

        DuckDB resolves a relative path against the reader's working folder, hence whole
        paths.
        """
        if self.whole.exists():
            return f"select * from read_parquet({_literal(self.whole)})"
        return f"""
            select * exclude (file_row_number)
            from read_parquet({_literal(self.base)}, file_row_number = true) as base
            anti join read_parquet({_literal(self.removed)}) as removed
                on base.file_row_number = removed.position
            union all
            select * from read_parquet({_literal(self.added)})
        """

    def _file(self, kind: str) -> Path:
        return self.home / f"{self.name.replace('.', '/')}.{kind}"


def write_whole(connection: duckdb.DuckDBPyConnection, files: TableFiles) -> None:
    """Write the table, and the hash of each row as it can be read again.

    The hashes come from the file and not from the table: a view need not give its rows
    in the same order twice, and a position must mean the same row in both files.
    """
    _write(connection, f"from {dotted(files.name)}", files.whole)
    if _rows(connection, files.whole) < SMALL:
        return
    columns = _columns(connection, f"from read_parquet({_literal(files.whole)})")
    _write(
        connection,
        f"""
        select hash({columns}) as row_hash
        from read_parquet({_literal(files.whole)})
        """,
        files.hashes,
    )


def write_changes(
    connection: duckdb.DuckDBPyConnection, files: TableFiles, before: TableFiles
) -> bool:
    """Write what differs from the base of ``before``, and link that base.

    Returns:
        False, and no file written, where the table is to be written whole: it has no
        base, other columns, rows that are equal in everything, too many changes, or a
        base that is too old.
    """
    base = before.whole if before.whole.exists() else before.base
    if (
        before.is_stale()
        or not before.hashes.exists()
        or not _same_columns(connection, files.name, base)
    ):
        return False
    columns = _columns(connection, f"from {dotted(files.name)}")
    connection.execute(
        f"""
        create or replace temp table snapshot_row as
            select hash({columns}) as row_hash from {dotted(files.name)};
        create or replace temp table snapshot_base as
            select row_hash, file_row_number as position
            from read_parquet({_literal(before.hashes)}, file_row_number = true);
        create or replace temp table snapshot_removed as
            select position from snapshot_base anti join snapshot_row using (row_hash);
        create or replace temp table snapshot_added as
            select row_hash from snapshot_row anti join snapshot_base using (row_hash);
        """
    )
    try:
        if not _worthwhile(connection) or not (
            _hard_link(base, files.base) and _hard_link(before.hashes, files.hashes)
        ):
            return False
        _write(connection, "from snapshot_removed order by position", files.removed)
        _write(
            connection,
            f"""
            select * from {dotted(files.name)}
            where hash({columns}) in (select row_hash from snapshot_added)
            """,
            files.added,
        )
    finally:
        connection.execute(
            "drop table snapshot_row; drop table snapshot_base;"
            " drop table snapshot_removed; drop table snapshot_added"
        )
    return True


def dotted(table: str) -> str:
    """``schema.table`` as it stands in SQL."""
    return ".".join(quoted(part) for part in table.split("."))


def _worthwhile(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether changes say what a whole file would, in fewer rows.

    Two rows that are equal in everything have one hash, and whether one of them came or
    went cannot be seen from it. Then number and sum do not come out: base less removed
    plus added is what the table has. Counting distinct hashes instead took twice the
    processor that all the rest takes.
    """
    found = connection.execute(
        """
        with part as (
            select 0 as sign, row_hash from snapshot_row
            union all select 1, row_hash from snapshot_base
            union all select 1, row_hash from snapshot_added
            union all
            select -1, row_hash from snapshot_base semi join snapshot_removed
                using (position)
        )
        select count(*) filter (sign = 0), sum(row_hash) filter (sign = 0),
            sum(sign), sum(sign * row_hash::hugeint),
            (select count(*) from snapshot_base),
            (select count(*) from snapshot_removed)
            + (select count(*) from snapshot_added)
        from part
        """
    ).fetchone()
    rows, total, rows_said, total_said, base, changes = found or (0,) * 6
    return bool(
        rows == (rows_said or 0)
        and (total or 0) == (total_said or 0)
        and changes <= MOST_CHANGED * base
    )


def _same_columns(
    connection: duckdb.DuckDBPyConnection, table: str, file: Path
) -> bool:
    now = connection.execute(f"describe {dotted(table)}").fetchall()
    then = connection.execute(
        f"describe select * from read_parquet({_literal(file)})"
    ).fetchall()
    return [row[:2] for row in now] == [row[:2] for row in then]


def _columns(connection: duckdb.DuckDBPyConnection, source: str) -> str:
    found = connection.execute(f"describe {source}").fetchall()
    return ", ".join('"' + name.replace('"', '""') + '"' for name, *_ in found)


def _rows(connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    found = connection.execute(
        "select sum(num_rows) from parquet_file_metadata($file)", {"file": str(file)}
    ).fetchone()
    return int(found[0] or 0) if found else 0


def _write(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # It may be a link of the version that readers have open.
    target.unlink(missing_ok=True)
    connection.execute(
        f"copy ({query}) to $target (format parquet, compression zstd)",
        {"target": str(target)},
    )


def _hard_link(old: Path, new: Path) -> bool:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        new.hardlink_to(old)
    except OSError:  # no hard links on this file system: the table is written again
        return False
    return True


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
