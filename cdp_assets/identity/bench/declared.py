"""The map of a labelled file: which of its columns says what, as data.

Read together with the file's header, so that a column it has not is refused with the
line of the map and the name that was probably meant.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pydantic

from cdp_assets.declarations import (
    Declaration,
    MisplacedError,
    nearest,
    read_declaration,
)

# What a file may say of a person or a company, in the words of the canonical model.
ATTRIBUTES = (
    "full_name", "first_name", "middle_name", "last_name", "name_suffix", "salutation",
    "organization_name", "birth_date", "gender", "email_address", "telephone_number",
    "website", "address_line_1", "address_line_2", "city_name", "postal_code",
    "state_province_name", "country_name",
)  # fmt: skip

# The canonical model's own spelling of the same.
_ALSO = {
    "address_line1": "address_line_1",
    "address_line2": "address_line_2",
    "postal_code_text": "postal_code",
    "gender_id": "gender",
    "person_name": "full_name",
    "name": "organization_name",
    "website_domain": "website",
}


class Source(Declaration):
    """Where an attribute stands: one column, or several, and how a date is written."""

    column: str | list[str]
    format: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns, one or more."""
        return [self.column] if isinstance(self.column, str) else self.column


class Number(Declaration):
    """A column with numbers of one issuer: passports, tax numbers, customer numbers."""

    number: str
    name: str
    type: str = "id"


class BenchMap(Declaration):
    """What the columns of a labelled file mean."""

    object: Literal["individual", "account"]
    source: str
    key: str
    attributes: dict[str, Source] = pydantic.Field(default_factory=dict)
    party_identification: list[Number] = pydantic.Field(default_factory=list)
    other: list[str] = pydantic.Field(default_factory=list)

    @pydantic.field_validator("attributes", mode="before")
    @classmethod
    def _spelt(cls, value: Any) -> Any:
        """Accept ``first_name: column``, and the canonical model's spellings."""
        if not isinstance(value, dict):
            return value
        return {
            _ALSO.get(name, name): {"column": source}
            if isinstance(source, str | list)
            else source
            for name, source in value.items()
        }

    @pydantic.model_validator(mode="after")
    def _possible(self, info: pydantic.ValidationInfo) -> "BenchMap":
        for name, source in self.attributes.items():
            if name not in ATTRIBUTES:
                raise MisplacedError(
                    f"no attribute {name!r}{nearest(name, ATTRIBUTES)} (there are "
                    f"{', '.join(ATTRIBUTES)}); what is none of them goes under other",
                    "attributes",
                    name,
                )
            if source.format is not None and name != "birth_date":
                raise MisplacedError(
                    "only birth_date has a format; remove it",
                    *("attributes", name, "format"),
                )
        if not (self.attributes or self.party_identification or self.other):
            raise ValueError(
                "nothing to compare: name columns under attributes, "
                "party_identification or other"
            )
        self._check_columns((info.context or {}).get("columns"))
        return self

    def _check_columns(self, there: list[str] | None) -> None:
        if there is None:
            return
        for column, at in self._named():
            if column not in there:
                raise MisplacedError(
                    f"the file has no column {column!r}{nearest(column, there)} "
                    f"(there are {', '.join(there)})",
                    *at,
                )

    def _named(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """Every column the map names, and where it does."""
        yield self.source, ("source",)
        yield self.key, ("key",)
        for name, source in self.attributes.items():
            for column in source.columns:
                yield column, ("attributes", name)
        for place, issued in enumerate(self.party_identification):
            yield issued.number, ("party_identification", place, "number")
        for place, column in enumerate(self.other):
            yield column, ("other", place)

    def columns(self) -> list[str]:
        """The columns that are read, each once."""
        return list(dict.fromkeys(column for column, _ in self._named()))


def read_map(path: Path, columns: list[str]) -> BenchMap:
    """Read a map for a file with these columns.

    Raises:
        DeclarationError: Names the map, the line, and what would be right.
    """
    return read_declaration(path, BenchMap, {"columns": columns})
