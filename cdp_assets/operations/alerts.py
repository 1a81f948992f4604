"""Alerts to a webhook: once when something is wrong, rarely while it stays, once after.

``CDP_ALERT_URL`` names the webhook; with ``CDP_ALERT_SECRET`` messages are signed like
those of webhook activations. What was said is kept in ``alerts.json``, so one stuck
thing is not said every minute, whichever process sees it. A message holds what failed
and what to do, never a value from a record.
"""

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from cdp_assets.activation.retry import retry_after
from cdp_assets.activation.signing import read_secrets, signed_headers
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now

URL, SECRET = "CDP_ALERT_URL", "CDP_ALERT_SECRET"
# Said again while it lasts; a channel that repeats itself hourly is muted by noon.
REMINDER = dt.timedelta(hours=12)
# A flood of different troubles has one cause; the rest is in `cdp doctor`.
MOST_AT_ONCE = 10
TRIES = 4
_LONGEST_PAUSE_SECONDS = 20.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AlertError(RuntimeError):
    """The webhook is not configured properly, or took no message."""


@dataclass(frozen=True)
class Alert:
    """Something to be told."""

    key: str
    """The same for the same trouble."""
    level: Literal["warning", "failure"]
    says: str
    next: str


@dataclass(frozen=True)
class Sent:
    """How many messages went out, and how many troubles had been told already."""

    messages: int
    known: int


class Webhook:
    """Where alerts go."""

    def __init__(
        self, url: str, keys: Sequence[bytes], sleep: Callable[[float], None]
    ) -> None:
        """Remember where; nothing is sent yet."""
        self._url, self._keys, self._sleep = url, keys, sleep
        # At INFO httpx logs every URL, and chat services carry their token in it.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], sleep: Callable[[float], None] = time.sleep
    ) -> "Webhook | None":
        """The webhook of the environment; None where none is named.

        Raises:
            AlertError: URL or secret cannot be used.
        """
        url = environ.get(URL)
        if not url:
            return None
        parts = urlsplit(url)
        if not parts.hostname or not (
            parts.scheme == "https"
            or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        ):
            raise AlertError(
                f"{URL} must be an https:// address; plain http:// is for this "
                "machine's loopback only"
            )
        try:
            keys = read_secrets(environ[SECRET]) if environ.get(SECRET) else []
        except ValueError as error:
            raise AlertError(f"{SECRET}: {error}") from None
        return cls(url, keys, sleep)

    def post(self, kind: str, alert: Alert, at: dt.datetime) -> None:
        """Send one message; try again while the other side is not well.

        Raises:
            AlertError: It was not taken, the last time for this reason.
        """
        body = json.dumps(
            {
                "type": f"alert.{kind}",
                "timestamp": f"{at.isoformat()}Z",
                "data": asdict(alert),
                # What Slack, Mattermost and Teams workflows read.
                "text": _sentence(kind, alert),
            }
        ).encode()
        # The same however often it is tried, so that a receiver can tell.
        name = hashlib.sha256(f"{kind} {alert.key} {at}".encode()).hexdigest()[:32]
        for attempt in range(1, TRIES + 1):
            wait, reason = self._try(f"alert_{name}", body)
            if reason is None:
                return
            if attempt == TRIES or wait is None:
                raise AlertError(f"{URL} took no alert: {reason}")
            self._sleep(min(wait or 2.0**attempt / 2, _LONGEST_PAUSE_SECONDS))

    def _try(self, name: str, body: bytes) -> tuple[float | None, str | None]:
        """One try: how long to wait (None: never again) and what was wrong, if any."""
        headers = {"content-type": "application/json"}
        if self._keys:
            headers |= signed_headers(self._keys, name, int(time.time()), body)
        try:
            response = httpx.post(
                self._url,
                content=body,
                headers=headers,
                timeout=10,
                trust_env=urlsplit(self._url).hostname not in _LOOPBACK,
            )
        except httpx.HTTPError as error:
            return 0.0, type(error).__name__
        if response.is_success:
            return 0.0, None
        reason = f"HTTP {response.status_code}"
        if response.status_code in {408, 425, 429} or response.status_code >= 500:
            header = response.headers.get("retry-after")
            return retry_after(header, utc_now()) or 0.0, reason
        return None, reason


def tell(
    paths: Paths,
    webhook: Webhook,
    alerts: Sequence[Alert],
    *,
    source: str,
    settles: bool = True,
    at: dt.datetime | None = None,
) -> Sent:
    """Send what was not said lately, and what is over.

    Args:
        paths: The runtime folder.
        webhook: Where to.
        alerts: Everything that is wrong now, as ``source`` sees it.
        source: Who looked; it is over when the same source no longer sees it.
        settles: False where the source sees events and not states: nothing is over.
        at: Now (UTC).

    Raises:
        AlertError: A message was not taken; it is tried again the next time.
    """
    now = at or utc_now()
    messages = known = 0
    with _told(paths) as told:
        mine = told.setdefault(source, {})
        for alert in alerts[:MOST_AT_ONCE]:
            last = mine.get(alert.key)
            if last and now - dt.datetime.fromisoformat(last["at"]) < REMINDER:
                known += 1
                continue
            webhook.post("reminder" if last and settles else "raised", alert, now)
            mine[alert.key] = {"at": now.isoformat(), "alert": asdict(alert)}
            messages += 1
        present = {alert.key for alert in alerts}
        for key in [key for key in mine if key not in present]:
            if settles:
                webhook.post("resolved", Alert(**mine[key]["alert"]), now)
                messages += 1
                del mine[key]
            elif now - dt.datetime.fromisoformat(mine[key]["at"]) >= REMINDER:
                del mine[key]
    return Sent(messages, known)


def _sentence(kind: str, alert: Alert) -> str:
    if kind == "resolved":
        return f"Over: {alert.says}"
    again = "Still: " if kind == "reminder" else ""
    return f"{alert.level.upper()}: {again}{alert.says}. {alert.next}"


@contextlib.contextmanager
def _told(paths: Paths) -> Iterator[dict[str, dict[str, dict[str, Any]]]]:
    """What was said, by source and key; kept even when a later message fails."""
    path = paths.root / "alerts.json"
    paths.root.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Run and daemon may look at the same moment.
        fcntl.flock(handle, fcntl.LOCK_EX)
        told = _read(path)
        try:
            yield told
        finally:
            draft = path.with_suffix(".tmp")
            draft.write_text(json.dumps(told, indent=1), encoding="utf-8")
            draft.rename(path)
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
