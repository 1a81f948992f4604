"""Signatures after the Standard Webhooks specification, both to make and to check.

``webhook-signature: v1,<base64 HMAC-SHA256 of id.timestamp.body>``, one per secret, so
that a secret can be replaced while both are valid.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
# The specification's recommendation against replays: five minutes either way.
TOLERANCE_SECONDS = 300


class SignatureError(ValueError):
    """The message is not from who it says, or not from now."""


def new_secret() -> str:
    """A fresh secret in its written form."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def read_secrets(text: str) -> list[bytes]:
    """Read one secret, or several with spaces between them, the current one first.

    Raises:
        ValueError: One of them is not of the form ``whsec_<base64 of 24-64 bytes>``.
    """
    keys = []
    for part in text.split():
        try:
            key = base64.b64decode(part.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not part.startswith(PREFIX) or not 24 <= len(key) <= 64:
            raise ValueError(
                f"a secret is written {PREFIX}<base64 of 24 to 64 random bytes>"
            )
        keys.append(key)
    if not keys:
        raise ValueError("there is no secret")
    return keys


def signed_headers(
    keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The three headers that identify and sign a message."""
    signatures = [_signature(key, message_id, str(timestamp), body) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{value}" for value in signatures),
    }


def verify(
    keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: float
) -> str:
    """Check a message's signature and time.

    Returns:
        The message's id.

    Raises:
        SignatureError: A header is missing, the time is off, or no signature matches.
    """
    try:
        message_id = headers["webhook-id"]
        timestamp = headers["webhook-timestamp"]
        given = headers["webhook-signature"].split()
        age = abs(now - int(timestamp))
    except (KeyError, ValueError):
        raise SignatureError("the webhook headers are missing or malformed") from None
    if age > TOLERANCE_SECONDS:
        raise SignatureError(f"the message is {age:.0f} s away from now")
    expected = [f"v1,{_signature(key, message_id, timestamp, body)}" for key in keys]
    if not any(
        hmac.compare_digest(one.encode(), other.encode())
        for one in given
        for other in expected
    ):
        raise SignatureError("no signature matches")
    return message_id


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
