"""Which URLs may be sent to, and an HTTP client that keeps them out of the log."""

import logging
from urllib.parse import urlsplit

import httpx

from cdp_assets.activation.destinations.protocol import NotConfiguredError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def safe_url(url: str, name: str) -> str:
    """Return ``url`` if it may carry personal data.

    Raises:
        NotConfiguredError: It is neither https:// nor on this machine; ``name`` says
            where it came from.
    """
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in LOOPBACK
    )
    if not safe or not parts.hostname:
        raise NotConfiguredError(
            f"{name} must be an https:// address; plain http:// is for this machine's "
            "loopback only"
        )
    return url


def client(url: str, timeout: float, connections: int) -> httpx.Client:
    """Open a pool of connections to the host of ``url``; redirects are not followed."""
    # At INFO httpx logs every URL, and some services carry their token in it.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.Client(
        timeout=timeout,
        limits=httpx.Limits(max_connections=connections),
        # A proxy that the environment names cannot reach this machine's loopback.
        trust_env=urlsplit(url).hostname not in LOOPBACK,
    )
