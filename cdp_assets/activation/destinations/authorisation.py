"""Authorisation of JSON-over-HTTP destinations: fixed headers, or tokens that end."""

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from cdp_assets.activation.destinations.addresses import safe_url
from cdp_assets.activation.destinations.template import (
    Basic,
    Bearer,
    HttpTemplate,
    OAuth,
)
from cdp_assets.activation.destinations.templating import evaluate

# A token is asked for anew this long before it ends, so that none ends on its way.
_EARLY_SECONDS = 60


class TokenRefusedError(Exception):
    """No token was given; the message is the status, and nothing of the answer."""


class Authorisation:
    """The header that authorises a request; safe to ask from several threads."""

    def __init__(
        self, template: HttpTemplate, scope: Mapping[str, Any], client: httpx.Client
    ) -> None:
        """Remember how; nothing is asked for yet."""
        self._kind = template.authorisation
        self._scope = scope
        self._client = client
        self._lock = threading.Lock()
        self._token = ""
        self._ends = 0.0

    @property
    def expires(self) -> bool:
        """Whether another token may help where one was refused."""
        return isinstance(self._kind, OAuth)

    def header(self, *, anew: bool = False) -> dict[str, str]:
        """The header; ``anew``: with another token than the last one.

        Raises:
            TokenRefusedError: The address for tokens gave none.
            httpx.HTTPError: It could not be reached.
        """
        kind = self._kind
        if isinstance(kind, Bearer):
            return {"authorization": f"Bearer {evaluate(kind.token, self._scope)}"}
        if isinstance(kind, Basic):
            user = evaluate(kind.user, self._scope)
            password = evaluate(kind.password, self._scope)
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            return {"authorization": f"Basic {pair}"}
        if isinstance(kind, OAuth):
            with self._lock:
                if anew or time.monotonic() >= self._ends - _EARLY_SECONDS:
                    self._ask(kind)
                return {"authorization": f"Bearer {self._token}"}
        return {}

    def _ask(self, kind: OAuth) -> None:
        body = {
            "grant_type": kind.grant,
            **{name: evaluate(text, self._scope) for name, text in kind.body.items()},
        }
        url = safe_url(evaluate(kind.url, self._scope), "authorisation.url")
        if kind.encoding == "json":
            response = self._client.post(url, json=body)
        else:
            response = self._client.post(url, data=body)
        if not response.is_success:
            raise TokenRefusedError(f"no token: HTTP {response.status_code}")
        try:
            answer = response.json()
            self._token = str(answer["access_token"])
            self._ends = time.monotonic() + float(answer.get("expires_in", 3600))
        except (ValueError, KeyError, TypeError):
            raise TokenRefusedError("no token in the answer") from None
