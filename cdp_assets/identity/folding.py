"""How values are folded before they are compared: the DuckDB macros of ``folding.sql``.

The folded form is never shown and never published. Both sides of a comparison go
through the same macro, so folding too much costs precision and never symmetry.
"""

from pathlib import Path

import duckdb

_MACROS = Path(__file__).with_name("folding.sql").read_text(encoding="utf-8")


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros for as long as the connection lives."""
    connection.execute(_MACROS)
