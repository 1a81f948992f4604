"""How destinations are declared: their kinds, and what delivery may be told about each.

What is secret, and where a system listens, stands in environment variables; the
declaration names them.
"""

import re
from typing import Annotated, Literal

import pydantic

from cdp_assets.declarations import Declaration, identifier

Identifier = Annotated[str, pydantic.AfterValidator(identifier)]

_RATE = re.compile(r"(\d+) per (second|minute|hour)")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


def interval(rate: str) -> float:
    """Seconds between two requests at ``N per second|minute|hour``.

    Raises:
        ValueError: It is not written so.
    """
    found = _RATE.fullmatch(rate)
    if found is None or not int(found[1]):
        raise ValueError(
            f"{rate!r} is no rate; write one like '10 per second' (or per minute, "
            "per hour)"
        )
    return _SECONDS[found[2]] / int(found[1])


def _rate(rate: str) -> str:
    interval(rate)
    return rate


class Retry(Declaration):
    """When a failed delivery is tried again: exponential back-off with full jitter."""

    max_attempts: int = pydantic.Field(default=8, gt=0, le=100)
    base_seconds: float = pydantic.Field(default=2, gt=0)
    # Eight attempts from 2 s span some minutes; a day's outage is bridged by the runs
    # of that day, because a destination that is down costs no attempts.
    cap_seconds: float = pydantic.Field(default=3600, gt=0)


class BatchLimit(Declaration):
    """How many changes, of how many bytes of payload, leave together at most."""

    rows: int = pydantic.Field(default=1, gt=0, le=1_000_000)
    bytes: int | None = pydantic.Field(default=None, gt=0)


class Remote(Declaration):
    """What delivery may be told about any destination over a network."""

    timeout_seconds: float = pydantic.Field(default=15, gt=0, le=120)
    concurrency: int = pydantic.Field(default=4, gt=0, le=64)
    # Requests, evenly spaced; a batch is one.
    rate: Annotated[str, pydantic.AfterValidator(_rate)] | None = None
    # After so many requests in a row that failed, the destination is left alone.
    breaker_failures: int = pydantic.Field(default=10, gt=0, le=1000)


class FileSpec(Declaration):
    """Files in a folder, one per batch."""

    kind: Literal["file"]
    format: Literal["csv", "ndjson", "parquet"]
    # Under the runtime folder's outgoing/; default: the activation's name.
    folder: Identifier | None = None
    rows_per_file: int = pydantic.Field(default=50_000, gt=0)
    # For people who open the file in a spreadsheet, which runs a text that begins like
    # a formula. Off for programs, which would read the apostrophe, and +49… as '+49….
    for_spreadsheets: bool = False

    @pydantic.model_validator(mode="after")
    def _only_csv_is_typed_again(self) -> "FileSpec":
        if self.for_spreadsheets and self.format != "csv":
            raise ValueError(
                f"for_spreadsheets: {self.format} keeps texts as texts; remove it, or "
                "write csv"
            )
        return self


class WebhookSpec(Remote):
    """Signed HTTP POSTs, one per change."""

    kind: Literal["webhook"]
    # Standard Webhooks, or the envelope and x-signature of Salesforce Data Cloud.
    form: Literal["standard", "data_cloud"] = "standard"
    # The names of environment variables, never the values: those are secrets.
    url_env: Identifier
    secret_env: Identifier


class SqlSpec(Remote):
    """A table of a SQL database, with a row per person; it must exist.

    It has a unique ``key_column``, ``idempotency_key``, and a column per mapped field.
    """

    kind: Literal["sql"]
    # An SQLAlchemy address: it holds the password.
    url_env: Identifier
    schema_name: Identifier | None = None
    table: Identifier
    key_column: Identifier = "unified_individual_id"
    batch: BatchLimit | None = None


class HttpSpec(Remote):
    """JSON over HTTP, as a template in ``destinations`` describes it."""

    kind: Literal["http"]
    template: Identifier
    # Per secret of the template the environment variable that holds it.
    environment: dict[Identifier, Identifier] = pydantic.Field(default={})
    settings: dict[Identifier, str] = pydantic.Field(default={})
    # Default: the template's.
    batch: BatchLimit | None = None


DestinationSpec = Annotated[
    FileSpec | WebhookSpec | HttpSpec | SqlSpec, pydantic.Field(discriminator="kind")
]
