"""What delivery needs to know of whatever sends: an activation, or a data action."""

from typing import Protocol

from cdp_assets.activation.destination_spec import DestinationSpec, Retry


class Sendable(Protocol):
    """A name in the outbox, where its messages go, and on which ground."""

    @property
    def name(self) -> str:
        """The name under which its changes stand in the outbox."""

    @property
    def destination(self) -> DestinationSpec:
        """Where they go."""

    @property
    def retry(self) -> Retry:
        """When a failed one is tried again."""

    @property
    def channel(self) -> str | None:
        """What carries a message to the person; None where it goes to nobody's own."""

    @property
    def purpose(self) -> str | None:
        """What the person's consent is asked for; None where none is asked."""
