"""What a column of a sample file is declared as: its type, and a name SQL takes."""

import re
from collections.abc import Sequence

import duckdb


def declared_type(
    connection: duckdb.DuckDBPyConnection, column: str, kind: str, format_: str
) -> str:
    """Our type for DuckDB's; text wherever a number would lose something."""
    if kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "USMALLINT"):
        return (
            "string"
            if format_ == "csv" and _has_zeros(connection, column)
            else ("integer")
        )
    if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
        if format_ == "csv" and _has_zeros(connection, column):
            return "string"
        (fine,) = connection.execute(
            f"""
            select bool_and({column} = round({column}, 4)
                and abs({column}) < 1e13) from seen
            """
        ).fetchone() or (True,)
        return "number" if fine in (True, None) else "decimal8"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        if format_ == "csv" and not _all(connection, column, r"^\d{4}-\d\d-\d\d"):
            return "string"
        return "date" if kind == "DATE" else "timestamp"
    if kind.startswith(("STRUCT", "MAP", "JSON")) or kind.endswith("[]"):
        return "json"
    return "boolean" if kind == "BOOLEAN" else "string"


def _has_zeros(connection: duckdb.DuckDBPyConnection, column: str) -> bool:
    """Whether a number begins with a zero or a plus, as keys, postcodes, phones do."""
    return not _all(connection, column, r"^(0$|0\.|[^0+])")


def _all(connection: duckdb.DuckDBPyConnection, column: str, pattern: str) -> bool:
    """Whether every value, as the file writes it, matches."""
    row = connection.execute(
        f"""
        select coalesce(bool_and(regexp_matches({column}, ?)), true) from raw
        where {column} <> ''
        """,
        [pattern],
    ).fetchone()
    return bool(row and row[0])


def free_identifier(name: str, taken: Sequence[str] | set[str]) -> str:
    """A name that may stand in SQL, close to what the source calls it."""
    plain = re.sub(r"\W+", "_", name.strip(), flags=re.ASCII).strip("_") or "field"
    plain = (f"n_{plain}" if plain[0].isdigit() else plain)[:60]
    free, number = plain, 2
    while free.lower() in taken:
        free, number = f"{plain}_{number}", number + 1
    return free
