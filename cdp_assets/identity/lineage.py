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
    compacted: bool
    """Whether its bytes moved into a compacted file, which names file and line."""

    def __str__(self) -> str:
        """As a path under the runtime folder, and a line."""
        within = f", kept in landing/{self.stream}/compacted/" if self.compacted else ""
        return f"landing/{self.stream}/{self.file}:{self.line}{within}"


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
        select row._file, row._line, bool_or(coalesce(ledger.compacted_into, '') <> '')
        from dlo.{quoted(stream)} as row
        left join ops.landed_file as ledger
            on ledger.stream = ? and ledger.file = row._file
        where row._record_id = ?
        group by all
        """,
        [stream, record],
    ).fetchall()
    if not rows:
        return None
    file, line, compacted = rows[0]
    return Landed(stream, file, line, bool(compacted))
