"""What a data stream is: the YAML beside this module, as a typed declaration.

The loader, the Dagster assets, the catalogue and the dbt sources all read it, so a
stream is declared once and Python is never written for one.
"""

from functools import cache
from pathlib import Path
from typing import Literal

import pydantic

from cdp_assets.declarations import Declaration, read_declarations
from cdp_assets.streams.declared import (
    BOOKKEEPING,
    PARTIAL_BOOKKEEPING,
    Connection,
    ConsentPlace,
    Field,
    Identifier,
    OnDrift,
    PhonePlace,
    Wave,
)


class StreamSpec(Declaration):
    """One data stream: a source's object, and how its records are kept."""

    name: Identifier
    source_system: Identifier
    source_object: str
    description: str
    connection: Connection
    category: Literal["profile", "engagement", "other"]
    primary_key: tuple[str, ...]
    modified_at: str | None = None
    event_time: str | None = None
    deleted_flag: str | None = None
    refresh_mode: Literal["upsert", "incremental", "full_refresh"]
    updates: Literal["full_row", "partial"] = "full_row"
    on_drift: OnDrift = "evolve"
    ignored_fields: tuple[str, ...] = ()
    # A full extract that would delete more of the live records than this share, and
    # more than this number of them, is held until somebody releases it.
    max_absent_share: float = pydantic.Field(default=0.3, ge=0, le=1)
    max_absent_records: int = pydantic.Field(default=20, ge=0)
    schedule: str
    retention_days: int = pydantic.Field(gt=0)
    rows_expire: bool | None = None
    wave: Wave | None = None
    freshness_hours: int = pydantic.Field(gt=0)
    expected_records_per_day: int = pydantic.Field(ge=0)
    authoritative_for: tuple[str, ...] = ()
    known_issues: tuple[str, ...] = ()
    phones: tuple[PhonePlace, ...] = ()
    consent: ConsentPlace | None = None
    fields: dict[Identifier, Field]

    @pydantic.field_validator("fields", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """Accept ``Name: string`` for ``Name: {type: string}``."""
        if not isinstance(value, dict):
            return value
        return {
            name: {"type": field} if isinstance(field, str) else field
            for name, field in value.items()
        }

    @pydantic.model_validator(mode="after")
    def _names_exist(self) -> "StreamSpec":
        named = {
            "phones": tuple(name for place in self.phones for name in place.fields()),
            "consent": (self.consent.field.split(".")[0],) if self.consent else (),
            "primary_key": self.primary_key,
            "modified_at": (self.modified_at,),
            "event_time": (self.event_time,),
            "deleted_flag": (self.deleted_flag,),
        }
        for key, names in named.items():
            for name in names:
                if name is not None and name not in self.fields:
                    raise ValueError(
                        f"{key}: {name!r} is not among the fields; "
                        f"declared are {', '.join(self.fields)}"
                    )
        for key in ("modified_at", "event_time"):
            name = named[key][0]
            if name is not None and self.fields[name].type not in ("timestamp", "date"):
                raise ValueError(
                    f"{key}: {name} is declared as {self.fields[name].type}; versions "
                    "are ordered by a timestamp or a date"
                )
        if not self.primary_key:
            raise ValueError("primary_key: name at least one field")
        if self.category == "engagement" and self.event_time is None:
            raise ValueError("event_time: an engagement stream needs one")
        if self.rows_expire and self.category != "engagement":
            raise ValueError(
                "rows_expire: only rows of an engagement stream have the time of an "
                "event to count from; leave it out"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _names_are_free(self) -> "StreamSpec":
        sent = [self.sent_as(name) for name in self.fields]
        for spellings in (list(self.fields), sent):
            if len({name.lower() for name in spellings}) < len(spellings):
                raise ValueError("fields: two names differ only in case")
        for name in self.fields:
            if name.lower() in BOOKKEEPING | PARTIAL_BOOKKEEPING:
                raise ValueError(f"fields: {name}: the name is ours; give it another")
        declared = {self.sent_as(name).lower() for name in self.fields}
        for name in self.ignored_fields:
            if name.lower() in declared:
                raise ValueError(f"ignored_fields: {name!r} is among the fields")
        return self

    @pydantic.model_validator(mode="after")
    def _partial_updates_have_an_order(self) -> "StreamSpec":
        if not self.is_partial:
            return self
        if self.category == "engagement":
            raise ValueError("updates: an event is whole; partial is for other streams")
        if self.refresh_mode == "full_refresh":
            raise ValueError("updates: partial: a full extract sends whole rows")
        if self.modified_at is None:
            raise ValueError(
                "updates: partial: modified_at: name the field that says when what a "
                "row sends has changed"
            )
        return self

    def sent_as(self, name: str) -> str:
        """What the source calls a field."""
        return self.fields[name].sent_as or name

    @property
    def is_partial(self) -> bool:
        """Whether a row says only what changed, and keeps silent about the rest."""
        return self.updates == "partial"

    @property
    def bookkeeping(self) -> dict[str, str]:
        """The columns that the loader adds to this stream's table."""
        return BOOKKEEPING | (PARTIAL_BOOKKEEPING if self.is_partial else {})

    def must_be_sent(self, name: str) -> bool:
        """Whether a row without this field cannot be kept.

        A partial row may leave out a required field, but not its key or its time.
        """
        if self.is_partial:
            return name in self.primary_key or name == self.modified_at
        return name in self.primary_key or self.fields[name].required

    @property
    def order_field(self) -> str | None:
        """The field that says which of two versions is newer."""
        return self.event_time if self.category == "engagement" else self.modified_at

    @property
    def is_arrival_ordered(self) -> bool:
        """Whether what arrives later counts as newer, having no better to go by."""
        return self.order_field is None or self.refresh_mode == "full_refresh"

    @property
    def expires_rows(self) -> bool:
        """Whether retention ends rows of the table too, and not only files.

        Events do unless declared otherwise: they happened once and grow old, while the
        row of a profile is what the source says today.
        """
        if self.rows_expire is None:
            return self.category == "engagement" and not self.is_system
        return self.rows_expire

    @property
    def is_system(self) -> bool:
        """Whether we land it ourselves, so that its files ask for no run."""
        return self.source_system == "system"


@cache
def load_streams(folder: Path | None = None) -> dict[str, StreamSpec]:
    """Every declared stream by name, from ``folder`` (default: this package)."""
    return read_declarations(folder or Path(__file__).parent, StreamSpec)
