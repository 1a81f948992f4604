"""Webhooks as a destination: one signed POST per change, after Standard Webhooks.

Or in Data Cloud's form, see ``data_cloud``.

The idempotency key is the ``webhook-id``; it stays the same however often a change is
tried. Redirects are failures. What a response says is not read beyond its status and
``Retry-After``: bodies tend to echo what was sent.
"""

import time
from collections.abc import Mapping, Sequence

import httpx

from cdp_assets.activation.destination_spec import (
    BatchLimit,
    WebhookSpec,
    interval,
)
from cdp_assets.activation.destinations.addresses import client, safe_url
from cdp_assets.activation.destinations.data_cloud import envelope, signature
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.retry import retry_after
from cdp_assets.activation.signing import read_secrets, signed_headers
from cdp_assets.warehouse import utc_now

# This change will never be taken: another try would say the same.
REJECTED = frozenset({400, 413, 415, 422})
# The endpoint is closed to every change: wrong secret, wrong address, gone, throttled
# or overloaded. Dead-lettering the queue for a typing error would help nobody.
UNAVAILABLE = frozenset({401, 403, 404, 405, 410, 429, 502, 503, 504})
# Of these, a gateway's: what stands behind it may have acted all the same.
BEHIND_GATEWAY = frozenset({502, 504})
# A response is drained so that its connection can be used again, up to this much.
_DRAIN_BYTES = 65_536


class WebhookDestination:
    """Posts changes to one URL."""

    label = "webhook"
    batch = BatchLimit(rows=1)

    def __init__(
        self, spec: WebhookSpec, url: str, keys: Sequence[bytes], secret: str
    ) -> None:
        """Open a connection pool to ``url``; nothing is sent yet."""
        self._form = spec.form
        self._secret = secret
        self.concurrency = spec.concurrency
        self.interval = interval(spec.rate) if spec.rate else None
        self.breaker_failures = spec.breaker_failures
        self._url = url
        self._keys = keys
        self._timeout = spec.timeout_seconds
        self._client = client(url, spec.timeout_seconds, spec.concurrency)

    @classmethod
    def from_environment(
        cls, spec: WebhookSpec, environ: Mapping[str, str]
    ) -> "WebhookDestination":
        """Read URL and secret from the variables that the declaration names.

        Raises:
            NotConfiguredError: One of them is missing or cannot be used.
        """
        for name in (spec.url_env, spec.secret_env):
            if not environ.get(name):
                raise NotConfiguredError(f"set the environment variable {name}")
        url = safe_url(environ[spec.url_env], spec.url_env)
        secret = environ[spec.secret_env]
        if spec.form == "data_cloud":
            return cls(spec, url, [], secret)
        try:
            keys = read_secrets(secret)
        except ValueError as error:
            raise NotConfiguredError(f"{spec.secret_env}: {error}") from None
        return cls(spec, url, keys, secret)

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Post each change of the batch."""
        return [self._post(change) for change in batch.changes]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, change: Change) -> Reply:
        key = change.idempotency_key
        if self._form == "data_cloud":
            body = envelope(change)
            headers = {"x-signature": signature(self._secret, body)}
        else:
            body = message_body(change)
            headers = signed_headers(self._keys, key, int(time.time()), body)
        headers["content-type"] = "application/json"
        try:
            with self._client.stream(
                "POST", self._url, content=body, headers=headers
            ) as response:
                self._drain(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            reason = type(error).__name__
            return Reply(key, "unavailable", reason, reached=False)
        except httpx.HTTPError as error:
            # It may or may not have been acted on: only the key can tell.
            return Reply(key, "failed", type(error).__name__)
        return _answer(key, response)

    def _drain(self, response: httpx.Response) -> None:
        """Read the body away; a status once given stands, even if the rest breaks."""
        deadline = time.monotonic() + self._timeout
        size = 0
        try:
            for piece in response.iter_raw():
                size += len(piece)
                if size > _DRAIN_BYTES or time.monotonic() > deadline:
                    return
        except httpx.HTTPError:
            return


def message_body(change: Change) -> bytes:
    """The JSON body: type, timestamp and data, as the specification recommends."""
    earlier = change.previous_individual_id
    previous = f'"previous_individual_id":"{earlier}",' if earlier else ""
    # The payload is JSON text already; as it stands, decimals keep their digits.
    return (
        f'{{"type":"{change.activation}.{change.operation}",'
        f'"timestamp":"{change.planned_at}Z",'
        f'"data":{{"unified_individual_id":"{change.unified_individual_id}",'
        f"{previous}"
        f'"operation":"{change.operation}","fields":{change.payload}}}}}'
    ).encode()


def _answer(key: str, response: httpx.Response) -> Reply:
    status = response.status_code
    said = f"HTTP {status}"
    wait = retry_after(response.headers.get("retry-after"), utc_now())
    if response.is_success:
        return Reply(key, "delivered", said)
    if status in REJECTED:
        return Reply(key, "rejected", said)
    if status in UNAVAILABLE:
        reached = status in BEHIND_GATEWAY
        return Reply(key, "unavailable", said, wait, reached=reached)
    return Reply(key, "failed", said, wait)
