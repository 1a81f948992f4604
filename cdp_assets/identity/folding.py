"""How values are folded before they are compared: the DuckDB macros of ``folding.sql``.

The folded form is never shown and never published. Both sides of a comparison go
through the same macro, so folding too much costs precision and never symmetry.
"""

import contextlib
import re
import unicodedata
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
_REST_OF_LATIN = "\u0180-\u02ff\u1d00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f"
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_CYRILLIC = "\u0400-\u052f\u1c80-\u1c8f\ua640-\ua69f"
_ARMENIAN_AND_GEORGIAN = "\u0530-\u058f\u10a0-\u10ff\u1c90-\u1cbf\u2d00-\u2d2f"
_KANA_AND_HANGUL = "\u1100-\u11ff\u3040-\u30ff\uac00-\ud7af"
_MARKS = "\u2000-\u206f"
_SPELT = re.compile(
    f"[{_REST_OF_LATIN}{_GREEK}{_CYRILLIC}{_ARMENIAN_AND_GEORGIAN}"
    f"{_KANA_AND_HANGUL}{_MARKS}]+"
)


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros for as long as the connection lives.

    Before any transaction that may be rolled back: DuckDB takes the function in Python
    back with it, and defines none of its name again on the same connection.
    """
    if not connection.execute(
        "select 1 from duckdb_functions() where function_name = 'to_latin'"
    ).fetchall():
        _create_to_latin(connection)
    connection.execute(_MACROS)


def _create_to_latin(connection: duckdb.DuckDBPyConnection) -> None:
    # Another connection to the same database may be first.
    with contextlib.suppress(duckdb.CatalogException):
        connection.create_function("to_latin", to_latin, ["VARCHAR"], "VARCHAR")


def to_latin(value: str) -> str:
    """A text in Latin letters: Васильев as Vasil'ev, Γιώργος as Giorgos."""
    composed = unicodedata.normalize("NFKC", value)
    return _SPELT.sub(lambda found: anyascii(found[0]), composed)
