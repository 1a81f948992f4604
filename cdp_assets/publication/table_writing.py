"""Writing one table of the snapshot: whole, or what changed since its base."""

from pathlib import Path

import duckdb

from cdp_assets.publication.table_files import (
    TableFiles,
    dotted,
    hard_link,
    in_quotes,
    literal,
)

# A smaller table is written whole, in less time than its changes are found.
SMALL = 10_000
# From this share of changed rows on the table is written whole: its readers pay for
# every row that has to be left out.
MOST_CHANGED = 0.1


def write_whole(connection: duckdb.DuckDBPyConnection, files: TableFiles) -> None:
    """Write the table, and the hash of each row as it can be read again.

    The hashes come from the file and not from the table: a view need not give its rows
    in the same order twice, and a position must mean the same row in both files.
    """
    _write(connection, f"from {dotted(files.name)}", files.whole)
    if _rows(connection, files.whole) < SMALL:
        return
    columns = _columns(connection, f"from read_parquet({literal(files.whole)})")
    _write(
        connection,
        f"""
        select hash({columns}) as row_hash
        from read_parquet({literal(files.whole)})
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
            from read_parquet({literal(before.hashes)}, file_row_number = true);
        create or replace temp table snapshot_removed as
            select position from snapshot_base anti join snapshot_row using (row_hash);
        create or replace temp table snapshot_added as
            select row_hash from snapshot_row anti join snapshot_base using (row_hash);
        """
    )
    try:
        if not _worthwhile(connection) or not (
            hard_link(base, files.base) and hard_link(before.hashes, files.hashes)
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
        f"describe select * from read_parquet({literal(file)})"
    ).fetchall()
    return [row[:2] for row in now] == [row[:2] for row in then]


def _columns(connection: duckdb.DuckDBPyConnection, source: str) -> str:
    found = connection.execute(f"describe {source}").fetchall()
    return ", ".join(in_quotes(name) for name, *_ in found)


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
