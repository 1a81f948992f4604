"""Requests at the rate that a destination allows, evenly spaced.

Evenly, and without saving up: whatever window of time the destination counts in, and
whether or not this process is new, it sees no more than the rate, and one.
"""

import datetime as dt


class Pace:
    """When the next request may go."""

    def __init__(self, interval: float | None) -> None:
        """Space requests by ``interval`` seconds; None: as fast as they come."""
        self._interval = interval
        self._free_at: dt.datetime | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is a rate at all."""
        return self._interval is not None

    def wait(self, now: dt.datetime) -> float:
        """Seconds until the next request may go; 0: now."""
        if self._free_at is None:
            return 0.0
        return max((self._free_at - now).total_seconds(), 0.0)

    def take(self, now: dt.datetime) -> None:
        """Note that a request goes now."""
        if self._interval is not None:
            self._free_at = now + dt.timedelta(seconds=self._interval)
