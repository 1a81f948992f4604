"""Files on S3, or a store that speaks its protocol, as a destination.

An object appears whole or not at all: it is one put, or a multipart upload that becomes
visible as it is completed. The same batch has the same key, so a repetition replaces
the object by itself. Of what the store says only its error's code is kept.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore import exceptions
from s3fs.core import S3FileSystem

from cdp_assets.activation.destination_spec import BatchLimit, S3Spec, interval
from cdp_assets.activation.destinations.addresses import safe_url
from cdp_assets.activation.destinations.protocol import (
    Batch,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.destinations.whole_file import MEDIA_TYPES, written

# What an operator does about it; whatever stands here concerns every object.
_REMEDIES = {
    "NoSuchBucket": "make the bucket, or mend `bucket`",
    "AccessDenied": "allow the key s3:PutObject there",
    "InvalidAccessKeyId": "the access key is unknown there",
    "SignatureDoesNotMatch": "the secret is not the access key's",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not the access key's",
    "PermanentRedirect": "the bucket is in another region; mend `region`",
    "AuthorizationHeaderMalformed": "the bucket is in another region; mend `region`",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}
# Bytes a second; an upload that is slower is taken for one that has stopped.
_SLOWEST = 256 * 1024


class S3Destination:
    """Puts batches into a bucket."""

    concurrency = 1

    def __init__(self, spec: S3Spec, store: Any, outgoing: Path) -> None:
        """Remember where to put files; nothing is connected yet.

        Args:
            spec: The declaration.
            store: The bucket's file system, as fsspec has it.
            outgoing: Where files are made before they leave.
        """
        self.label = f"s3:{spec.format}"
        self.batch = BatchLimit(rows=spec.rows_per_file)
        self.interval = interval(spec.rate) if spec.rate else None
        self.breaker_failures = spec.breaker_failures
        self._spec = spec
        self._store = store
        self._outgoing = outgoing

    @classmethod
    def from_environment(
        cls, spec: S3Spec, environ: Mapping[str, str], outgoing: Path
    ) -> "S3Destination":
        """Read keys and address from the variables that the declaration names.

        Raises:
            NotConfiguredError: One is missing, or leads nowhere safe.
        """
        optional = (spec.session_token_env, spec.endpoint_env)
        for name in (spec.access_key_env, spec.secret_key_env, *optional):
            if name is not None and not environ.get(name):
                raise NotConfiguredError(f"set the environment variable {name}")
        endpoint = None
        if spec.endpoint_env is not None:
            endpoint = safe_url(environ[spec.endpoint_env], spec.endpoint_env)
        token = spec.session_token_env
        store = S3FileSystem(
            key=environ[spec.access_key_env],
            secret=environ[spec.secret_key_env],
            token=environ[token] if token else None,
            endpoint_url=endpoint,
            client_kwargs={"region_name": spec.region} if spec.region else {},
            config_kwargs={
                "connect_timeout": spec.timeout_seconds,
                "read_timeout": spec.timeout_seconds,
                # Delivery decides when to try again, and writes it down.
                "retries": {"max_attempts": 0},
            },
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        store.retries = 1
        return cls(spec, store, outgoing)

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Put the batch; it is delivered once the store says so."""
        spec = self._spec
        with written(batch, spec, self._outgoing) as file:
            key = "/".join(filter(None, (spec.folder, file.name)))
            try:
                self._put(file, f"{spec.bucket}/{key}")
            except Exception as error:
                return _refusals(batch, error)
        return [
            Reply(change.idempotency_key, "delivered", key) for change in batch.changes
        ]

    def _put(self, file: Path, target: str) -> None:
        """Put one file, and give up on a store that takes nothing or says nothing.

        The client's own time-outs do not hold while it waits to be told to go on.
        """
        patience = 2 * self._spec.timeout_seconds + file.stat().st_size / _SLOWEST
        putting = asyncio.run_coroutine_threadsafe(
            self._store._put_file(
                str(file), target, ContentType=MEDIA_TYPES[self._spec.format]
            ),
            self._store.loop,
        )
        try:
            putting.result(patience)
        except TimeoutError:
            putting.cancel()
            raise

    def close(self) -> None:
        """Let go of the connections; they close with the last that knows the store."""
        self._store = None


def _refusals(batch: Batch, error: Exception) -> list[Reply]:
    """What an error means for the changes of a batch.

    Raises:
        Exception: ``error``, where it is none of the store's or of the way there.
    """
    # s3fs tells some errors as Python's own, with the store's behind them.
    found = error.__cause__ or error
    outcome: Any = "unavailable"
    reached = True
    reason = type(found).__name__
    if isinstance(found, exceptions.ClientError):
        code = str(found.response.get("Error", {}).get("Code", "unknown"))
        status = found.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        reason = f"{code}: {_REMEDIES[code]}" if code in _REMEDIES else code
        # A store that fails within may have kept the object before it did.
        reached = status >= 500
        if code == "EntityTooLarge":
            outcome = "split" if len(batch.changes) > 1 else "rejected"
        elif code not in _REMEDIES and 400 <= status < 500 and status not in (403, 429):
            outcome = "failed"
    elif isinstance(
        found, exceptions.EndpointConnectionError | exceptions.ConnectTimeoutError
    ):
        reached = False
    elif not isinstance(found, exceptions.BotoCoreError | OSError | TimeoutError):
        raise error
    return [
        Reply(change.idempotency_key, outcome, reason, None, reached)
        for change in batch.changes
    ]
