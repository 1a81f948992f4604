"""The parts of a stream's declaration: its fields, their types, its files, its places.

``spec.py`` puts them together.
"""

from typing import Annotated, Literal

import pydantic

from cdp_assets.declarations import Declaration, identifier

FieldType = Literal[
    "string", "integer", "number", "decimal8", "boolean", "date", "timestamp", "json"
]


SQL_TYPES: dict[str, str] = {
    "string": "varchar",
    "integer": "bigint",
    "number": "decimal(18,4)",
    # Exchange rates: four decimals would lose 0.5 % of one yen in euro.
    "decimal8": "decimal(18,8)",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "json": "json",
}


# What the loader adds to every table.
BOOKKEEPING: dict[str, str] = {
    "_record_id": "varchar",
    "_file": "varchar",
    "_line": "bigint",
    "_load_seq": "bigint",
    "_modified_at": "timestamp",
    "_is_deleted": "boolean",
    "_row_hash": "varchar",
    # What was sent in columns that are not declared, by their names (drift.py).
    "_undeclared": "map(varchar, varchar)",
}


# What a table of partial updates has besides: when each field was last said, and when
# the record was last deleted (merge.py).
PARTIAL_BOOKKEEPING: dict[str, str] = {
    "_fields_at": "map(varchar, timestamp)",
    "_deleted_at": "timestamp",
}


OnDrift = Literal["evolve", "freeze", "quarantine_row", "quarantine_file"]


# The tag of a field that may hold payment card numbers (cards.py).
CARD_NUMBER = "card_number"


Identifier = Annotated[str, pydantic.AfterValidator(identifier)]


class Field(Declaration):
    """One column of the source."""

    type: FieldType
    sent_as: str | None = None
    """What the source calls it, where that is no identifier: ``Customer ID``."""
    required: bool = False
    description: str | None = None
    pii: str | None = None


class Connection(Declaration):
    """Where the stream's files come from and how they are written."""

    kind: Literal["files"] = "files"
    pattern: str = "*"
    format: Literal["csv", "json", "ndjson", "parquet"]
    encoding: Literal["utf-8", "utf-16", "latin-1", "windows-1252"] = "utf-8"
    delimiter: str = pydantic.Field(default=",", min_length=1, max_length=1)
    record_path: str | None = None
    # In partial updates from CSV or Parquet, where every row has every column: whether
    # an empty cell was not sent (the record keeps its value) or clears it.
    empty_cell: Literal["keeps", "clears"] = "keeps"

    @pydantic.field_validator("delimiter")
    @classmethod
    def _delimits(cls, value: str) -> str:
        if value in '"\r\n\0':
            raise ValueError(
                f"{value!r} cannot stand between fields; expected one like , or ;"
            )
        return value


class Wave(Declaration):
    """What one wave takes of the stream at most, where the default does not suit."""

    bytes: int | None = pydantic.Field(default=None, gt=0)
    rows: int | None = pydantic.Field(default=None, gt=0)


class PhonePlace(Declaration):
    """Where a record has a phone number: a field, or ``field.key`` in a JSON one."""

    number: str
    country: str | None = None
    """The country it was typed in, as typed; a national number is none without."""
    only: dict[str, str] = pydantic.Field(default_factory=dict)
    """Fields and the text they must have, in any case, for this to be a number."""

    def fields(self) -> list[str]:
        """The fields it names."""
        places = [self.number, *filter(None, [self.country])]
        return [place.split(".")[0] for place in places] + list(self.only)


class ConsentPlace(Declaration):
    """Where a record may carry an opt-out: a field, or ``field.key`` in a JSON one.

    A record in quarantine counts as an opt-out unless this field holds, in any case,
    one of the values that are none.
    """

    field: str
    not_an_opt_out: tuple[str, ...]
