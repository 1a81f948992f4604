"""How a reader gives its rows to the staging table: as a relation and expressions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from cdp_assets.streams import drift
from cdp_assets.streams.spec import StreamSpec


@dataclass(frozen=True)
class Column:
    """How a reader gets at one declared field, as an SQL expression."""

    sql: str
    """What was sent: text, or for an exact column the value itself."""
    is_exact: bool = False
    """Whether it has the declared type already, so that no cast can fail."""
    said: str = "true"
    """Whether the row says this field at all; only asked of partial updates."""


# A field that a file does not have.
ABSENT = Column("null::varchar", said="false")


@dataclass(frozen=True)
class Source:
    """A relation to stage, and how to read a record from one of its rows."""

    sql: str
    columns: dict[str, Column]
    record: str
    """The record as JSON text; only worked out for rows that are refused."""
    parameters: dict[str, Any] = field(default_factory=dict)
    file_no: str = "file_no"
    line: str = "null"
    """The line where the reader knows it, else null: then the row's position tells."""
    newlines: str = "0"
    """Line breaks inside the row, which put the rows after it further down."""
    blank: str = "false"
    fault: str = "null"
    """Why the row as a whole is none, null where it is one."""
    origin_seq: str = "null"
    undeclared: str = drift.NOTHING
    """The values sent in columns that are not declared, as a map, or null."""
    drifted: str = "null::varchar"
    """The undeclared column because of which the row is refused, else null."""


# Takes a source's rows in: ``staging.stage``, or compaction's.
Stager = Callable[[duckdb.DuckDBPyConnection, StreamSpec, Source], None]
