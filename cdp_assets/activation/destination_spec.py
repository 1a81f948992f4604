"""How destinations are declared: their kinds, and what delivery may be told about each.

What is secret, and where a system listens, stands in environment variables; the
declaration names them.
"""

import re
from typing import Annotated, Literal

import pydantic

from cdp_assets.declarations import Declaration, identifier

Identifier = Annotated[str, pydantic.AfterValidator(identifier)]

# What S3 admits, but for names that look like an address.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
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


def _bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name):
        raise ValueError(
            f"{name!r} is no bucket's name: 3 to 63 of a-z, 0-9, dot and hyphen"
        )
    return name


def _folder(path: str) -> str:
    """Refuse what would mean another folder, or none: it is part of every name."""
    if path and any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(
            f"{path!r} is no folder: write names with a slash between them, like "
            "audiences/daily"
        )
    return path


def _remote_folder(path: str) -> str:
    _folder(path.removeprefix("/"))
    return path


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


class Networked(Declaration):
    """What delivery may be told about a destination over one connection."""

    timeout_seconds: float = pydantic.Field(default=15, gt=0, le=120)
    # Requests, evenly spaced; a batch is one.
    rate: Annotated[str, pydantic.AfterValidator(_rate)] | None = None
    # After so many requests in a row that failed, the destination is left alone.
    breaker_failures: int = pydantic.Field(default=10, gt=0, le=1000)


class Remote(Networked):
    """What delivery may be told about one that takes several requests at a time."""

    concurrency: int = pydantic.Field(default=4, gt=0, le=64)


class Filed(Declaration):
    """Changes as files, one per batch, wherever they are put."""

    format: Literal["csv", "ndjson", "parquet"]
    rows_per_file: int = pydantic.Field(default=50_000, gt=0)
    # For people who open the file in a spreadsheet, which runs a text that begins like
    # a formula. Off for programs, which would read the apostrophe, and +49… as '+49….
    for_spreadsheets: bool = False

    @pydantic.model_validator(mode="after")
    def _only_csv_is_typed_again(self) -> "Filed":
        if self.for_spreadsheets and self.format != "csv":
            raise ValueError(
                f"for_spreadsheets: {self.format} keeps texts as texts; remove it, or "
                "write csv"
            )
        return self


class FileSpec(Filed):
    """Files in a folder of this machine."""

    kind: Literal["file"]
    # Under the runtime folder's outgoing/; default: the activation's name.
    folder: Identifier | None = None


class S3Spec(Filed, Networked):
    """Files as objects of a bucket on S3, or on whatever speaks its protocol."""

    kind: Literal["s3"]
    bucket: Annotated[str, pydantic.AfterValidator(_bucket)]
    # Keys begin with it and a slash.
    folder: Annotated[str, pydantic.AfterValidator(_folder)] = ""
    region: str | None = pydantic.Field(default=None, pattern=r"^[a-z0-9-]+$")
    access_key_env: Identifier
    secret_key_env: Identifier
    session_token_env: Identifier | None = None
    # The address of a store that is not Amazon's; default: the region's own.
    endpoint_env: Identifier | None = None


class SftpSpec(Filed, Networked):
    """Files in a folder of an SFTP server."""

    kind: Literal["sftp"]
    # sftp://user@host or sftp://user@host:port
    url_env: Identifier
    # From where the user arrives; must exist. One that begins with / from the root.
    folder: Annotated[str, pydantic.AfterValidator(_remote_folder)] = ""
    password_env: Identifier | None = None
    # A private key, or the path of its file.
    key_env: Identifier | None = None
    passphrase_env: Identifier | None = None
    # The server's public keys, as known_hosts or ssh-keyscan write them; default: the
    # known_hosts of whoever runs this.
    host_keys_env: Identifier | None = None

    @pydantic.model_validator(mode="after")
    def _one_way_in(self) -> "SftpSpec":
        if (self.password_env is None) == (self.key_env is None):
            raise ValueError("write one of password_env and key_env")
        if self.passphrase_env is not None and self.key_env is None:
            raise ValueError("passphrase_env: there is no key_env that it opens")
        return self


class AmqpSpec(Remote):
    """Persistent messages to an exchange of an AMQP 0-9-1 broker, one per change."""

    kind: Literal["amqp"]
    # amqps://user:password@host/virtual-host: it holds the password.
    url_env: Identifier
    # Default: the one that takes a queue's name for the routing key.
    exchange: str = pydantic.Field(default="", max_length=127)
    routing_key: str = pydantic.Field(min_length=1, max_length=127)


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
    FileSpec | S3Spec | SftpSpec | AmqpSpec | WebhookSpec | HttpSpec | SqlSpec,
    pydantic.Field(discriminator="kind"),
]


def variables(destination: DestinationSpec) -> tuple[str, ...]:
    """The environment variables that a destination cannot do without."""
    named = [value for name, value in destination if name.endswith("_env") and value]
    if isinstance(destination, HttpSpec):
        named += destination.environment.values()
    return tuple(named)
