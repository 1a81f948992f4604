"""Batches for destinations that take files, and what is said of them."""

from collections.abc import Iterable

from cdp_assets.activation.destinations.protocol import Batch, Change, Reply

FIELDS = (("email", "VARCHAR"), ("value", "DECIMAL(18,2)"))
NAME = "welcome-1-1-abc.csv"


def change(number: int = 1, email: str | None = None) -> Change:
    """Somebody new, with an address."""
    address = email or f"p{number}@example.test"
    return Change(
        number,
        f"msg_{number}",
        "welcome",
        f"u_{number}",
        "add",
        f'{{"email": "{address}", "value": 12.5}}',
        "2026-06-01T12:00:00.000000",
    )


def batch(*changes: Change) -> Batch:
    """A batch that becomes the file of this name."""
    return Batch("1-1-abc", "welcome", FIELDS, changes or (change(),))


def outcome(replies: Iterable[Reply]) -> tuple[str, str | None]:
    """What was said of every change alike."""
    ((said, reason),) = {(reply.outcome, reply.reason) for reply in replies}
    return said, reason
