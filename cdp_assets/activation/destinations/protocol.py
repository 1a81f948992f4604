"""What delivery asks of a destination, and what a destination answers per change.

A destination takes a batch and answers for every change in it. It does not look at
consent, decide about retries or keep state: delivery does. Whatever it is sent carries
the idempotency key, under which a repetition must count once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cdp_assets.activation.destination_spec import BatchLimit


class NotConfiguredError(Exception):
    """The deployment lacks a setting; the message names it. Changes stay pending."""


@dataclass(frozen=True)
class Change:
    """One change on its way out."""

    sequence: int
    idempotency_key: str
    activation: str
    unified_individual_id: str
    operation: Literal["add", "update", "remove", "alias"]
    payload: str
    planned_at: str
    previous_individual_id: str | None = None
    """Of an alias: whom the destination knows so far, and is this person now."""


@dataclass(frozen=True)
class Batch:
    """Changes that leave together, at most one per person, and the payload's fields."""

    name: str
    activation: str
    fields: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Reply:
    """What the destination said about one change.

    ``delivered``: it has it. ``rejected``: it never will; a dead letter at once.
    ``failed``: perhaps next time; counts towards the dead letter. ``unavailable``: it
    takes nothing from anyone now; no failure, and the destination is left alone.
    ``split``: it took nothing of the batch, for the sake of a change it does not name;
    the halves are sent apart.
    The reason holds no content of the change and none of the response. ``reached`` is
    false only if the change certainly was not acted on.
    """

    idempotency_key: str
    outcome: Literal["delivered", "rejected", "failed", "unavailable", "split"]
    reason: str | None = None
    retry_after: float | None = None
    reached: bool = True


class Destination(Protocol):
    """Takes batches of changes; safe to call from ``concurrency`` threads."""

    label: str
    batch: BatchLimit
    concurrency: int
    # Seconds between two requests, and failures in a row that open the breaker.
    interval: float | None
    breaker_failures: int

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Send the batch; one reply per change, in any order."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
