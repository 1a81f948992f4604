"""Where a record was landed: the file, as its producer named it, and the line."""

from dataclasses import dataclass

import duckdb

from cdp_assets.declarations import quoted


@dataclass(frozen=True)
class Landed:
    """The file and line of a record's latest version."""

    stream: str
    file: str
    line: int
    compacted_into: str | None
    """The Parquet file that took its rows, each with its original file and line."""
    expired: bool
    """Whether retention has deleted what held it."""

    def __str__(self) -> str:
        """As a path under the runtime folder, and a line."""
        where = f"landing/{self.stream}/{self.file}:{self.line}"
        if self.expired:
            return f"{where}, which retention has deleted"
        if self.compacted_into:
            return f"{where}, now in compacted/{self.compacted_into}"
        return where


def landed(connection: duckdb.DuckDBPyConnection, record: str) -> Landed | None:
    """The file and line of a record named ``stream:key``, where its row is there."""
    stream = record.partition(":")[0]
    there = connection.execute(
        """
        select count(*) from duckdb_columns()
        where database_name = current_database() and schema_name = 'dlo'
            and table_name = ? and column_name in ('_record_id', '_file', '_line')
        """,
        [stream],
    ).fetchall()[0][0]
    if there != 3:
        return None
    rows = connection.execute(
        f"""
        select row._file, row._line, ledger.compacted_into,
            ledger.expired_at is not null
        from dlo.{quoted(stream)} as row
        left join ops.landed_file as ledger
            on ledger.stream = ? and ledger.file = row._file
        where row._record_id = ?
        order by ledger.load_seq desc limit 1
        """,
        [stream, record],
    ).fetchall()
    if not rows:
        return None
    return Landed(stream, *rows[0])
