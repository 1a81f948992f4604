"""JSON over HTTP as a destination, as a YAML of this folder describes it.

Redirects are failures. An answer is read up to a megabyte; one that breaks off is as
good as its status.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import jinja2

from cdp_assets.activation.destination_spec import HttpSpec, interval
from cdp_assets.activation.destinations.addresses import client, safe_url
from cdp_assets.activation.destinations.answering import replies
from cdp_assets.activation.destinations.authorisation import (
    Authorisation,
    TokenRefusedError,
)
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.destinations.template import (
    HttpTemplate,
    Request,
    template_of,
)
from cdp_assets.activation.destinations.templating import described, evaluate, fill

_LARGEST_ANSWER = 1 << 20


class HttpDestination:
    """Sends batches as a template says."""

    def __init__(
        self, spec: HttpSpec, template: HttpTemplate, scope: Mapping[str, Any]
    ) -> None:
        """Open a connection pool; nothing is sent yet."""
        self.label = f"http:{template.name}"
        self.batch = spec.batch or template.batch
        self.concurrency = spec.concurrency
        self.breaker_failures = spec.breaker_failures
        rate = spec.rate or template.rate
        self.interval = interval(rate) if rate else None
        self._template = template
        self._scope = scope
        url = _address(next(iter(template.requests.values())), scope)
        self._client = client(url, spec.timeout_seconds, spec.concurrency)
        self._authorisation = Authorisation(template, scope, self._client)

    @classmethod
    def from_environment(
        cls, spec: HttpSpec, environ: Mapping[str, str]
    ) -> "HttpDestination":
        """Read the template's secrets from the variables that the declaration names.

        Raises:
            NotConfiguredError: One of them is missing, or leads to no safe address.
        """
        template = template_of(spec)
        for variable in spec.environment.values():
            if not environ.get(variable):
                raise NotConfiguredError(f"set the environment variable {variable}")
        settings = {**template.settings, **spec.settings}
        secrets = {name: environ[var] for name, var in spec.environment.items()}
        return cls(spec, template, {"settings": settings, "env": secrets})

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Send the batch, as one request for each that its operations need."""
        answers: list[Reply] = []
        for request in self._template.requests.values():
            changes = [
                one for one in batch.changes if one.operation in request.operations
            ]
            if not changes:
                continue
            if answers and self.interval:
                time.sleep(self.interval)
            answers += self._send(request, changes)
        served = {reply.idempotency_key for reply in answers}
        return answers + [
            Reply(one.idempotency_key, "rejected", f"no request for {one.operation}")
            for one in batch.changes
            if one.idempotency_key not in served
        ]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, request: Request, changes: Sequence[Change]) -> list[Reply]:
        told = [described(change) for change in changes]
        scope = {**self._scope, "changes": told, "change": told[0]}
        try:
            url = safe_url(evaluate(request.url, scope), "the template's url")
            headers = {
                name: str(evaluate(text, scope))
                for name, text in request.headers.items()
            }
            body = json.dumps(fill(request.body, scope), ensure_ascii=False)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            # Some change does not fit the template, as one planned under an earlier
            # mapping: it is parted from the others, and then fails by itself. Only the
            # kind is told, because what changes hold may be part of the message.
            outcome = "split" if len(changes) > 1 else "failed"
            return _all(changes, outcome, f"template: {type(error).__name__}", False)
        headers["content-type"] = "application/json"
        try:
            response = self._call(request.method, url, headers, body.encode())
        except TokenRefusedError as error:
            return _all(changes, "unavailable", str(error), False)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return _all(changes, "unavailable", type(error).__name__, False)
        except httpx.HTTPError as error:
            # It may or may not have been acted on: only the key can tell.
            return _all(changes, "failed", type(error).__name__, True)
        return replies(self._template, changes, response, scope)

    def _call(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        """Call, and once more with another token where the first was refused."""
        response = self._read(method, url, headers | self._authorisation.header(), body)
        if response.status_code == 401 and self._authorisation.expires:
            again = headers | self._authorisation.header(anew=True)
            response = self._read(method, url, again, body)
        return response

    def _read(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        content = b""
        with self._client.stream(
            method, url, content=body, headers=headers
        ) as response:
            try:
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > _LARGEST_ANSWER:
                        break
            except httpx.HTTPError:
                content = b""
        kept = {
            name: value
            for name, value in response.headers.items()
            if name == "retry-after"
        }
        return httpx.Response(response.status_code, headers=kept, content=content)


def _address(request: Request, scope: Mapping[str, Any]) -> str:
    """Where a request goes, as far as that is known without a change."""
    try:
        return safe_url(str(evaluate(request.url, scope)), "the template's url")
    except jinja2.UndefinedError:
        return ""


def _all(
    changes: Sequence[Change], outcome: Any, reason: str, reached: bool
) -> list[Reply]:
    return [
        Reply(change.idempotency_key, outcome, reason, None, reached)
        for change in changes
    ]
