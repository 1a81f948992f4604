"""Where a staged row stands in its file: its line, past fields with line breaks too."""

import duckdb


def place_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Work out where each staged row stands in its file: table ``place(row, shift)``.

    It holds only rows that stand further down because fields before them hold line
    breaks; everywhere else the position is the line.
    """
    connection.execute(
        """
        create or replace temp table place as
        select * from (
            select rowid as row, sum(newlines) over (
                partition by file_no order by rowid
                rows between unbounded preceding and 1 preceding
            )::bigint as shift
            from stage
            where file_no in (select file_no from stage where newlines > 0)
        )
        where shift > 0
        """
    )


LINE = """coalesce(
    stage.line,
    stage.rowid - staged_file.first_row + staged_file.first_line
        + coalesce(place.shift, 0)
)"""

PLACED = """stage
    join staged_file using (file_no)
    left join place on place.row = stage.rowid"""
