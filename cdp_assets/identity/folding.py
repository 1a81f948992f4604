"""How values are folded before they are compared: the DuckDB macros of ``folding.sql``.

The folded form is never shown and never published. Both sides of a comparison go
through the same macro, so folding too much costs precision and never symmetry.
"""

import re
from importlib.metadata import version
from pathlib import Path

import duckdb
from anyascii import anyascii

_MACROS = Path(__file__).with_name("folding.sql").read_text(encoding="utf-8")

# What the folded forms depend on beside this package and DuckDB.
LETTERS = f"anyascii {version('anyascii')}"

# The alphabets that spell what is said, and marks of print. What others write stays as
# it is: Arabic and Hebrew leave vowels out, and some forty Chinese characters are read
# alike, by a Japanese otherwise.
_GREEK_TO_GEORGIAN = "\u0370-\u058f\u10a0-\u10ff\u1c90-\u1cbf\u1f00-\u1fff"
_KANA_AND_HANGUL = "\u3040-\u30ff\uac00-\ud7af"
_MARKS_AND_WIDE = "\u2000-\u206f\uff00-\uff9f"
_SPELT = re.compile(f"[{_GREEK_TO_GEORGIAN}{_KANA_AND_HANGUL}{_MARKS_AND_WIDE}]+")


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros for as long as the connection lives."""
    if not connection.execute(
        "select 1 from duckdb_functions() where function_name = 'to_latin'"
    ).fetchall():
        connection.create_function("to_latin", to_latin, ["VARCHAR"], "VARCHAR")
    connection.execute(_MACROS)


def to_latin(value: str) -> str:
    """A text in Latin letters: Васильев as Vasil'ev, Γιώργος as Giorgos."""
    return _SPELT.sub(lambda found: anyascii(found[0]), value)
