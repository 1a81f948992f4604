"""The circuit breaker of a destination: closed, open, or half-open.

It opens when the destination asks us to wait or cannot be reached, and after so many
requests in a row that failed. While it is open nothing is sent. Once its time is up it
is half-open: one request tries, and closes it or opens it for longer. It is kept in the
outbox, so a Retry-After binds the next run too.
"""

import datetime as dt
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cdp_assets.activation.attempting import Attempt
from cdp_assets.activation.outbox import as_instant, as_text
from cdp_assets.activation.retry import pause
from cdp_assets.activation.sendable import Sendable

State = Literal["closed", "open", "half-open"]


@dataclass
class Breaker:
    """How a destination stands, and since when."""

    failures: int = 0
    openings: int = 0
    open_until: dt.datetime | None = None
    opened_at: dt.datetime | None = None
    reason: str = ""

    def state(self, now: dt.datetime) -> State:
        """Open until its time is up, then half-open until a request got through."""
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    def heed(
        self,
        attempts: Sequence[Attempt],
        spec: Sendable,
        limit: int,
        now: dt.datetime,
        rng: random.Random,
    ) -> None:
        """Learn from attempts, in the order in which they ended.

        Args:
            attempts: What came back.
            spec: Says how waits grow.
            limit: So many failures in a row open a closed breaker.
            now: The present (UTC).
            rng: Draws the jitter.
        """
        waits: list[float] = []
        trial = self.state(now) == "half-open"
        for attempt in attempts:
            outcomes = {reply.outcome for _, reply, _ in attempt.replies}
            if "unavailable" in outcomes:
                refusal = attempt.refusals[0]
                waits.append(
                    max(reply.retry_after or 0.0 for reply in attempt.refusals)
                )
                self.reason = refusal.reason or "unavailable"
            elif outcomes - {"failed"}:
                # An answer to a request from before the refusal says nothing new.
                if self.opened_at is None or attempt.started_at >= self.opened_at:
                    self.failures = self.openings = 0
                    self.open_until = self.opened_at = None
                    self.reason = ""
                    trial = False
            elif outcomes:
                self.failures += 1
                if self.failures >= limit or trial:
                    reply = attempt.replies[0][1]
                    waits.append(reply.retry_after or 0.0)
                    self.reason = f"{self.failures} failures in a row: {reply.reason}"
        if waits and self.state(now) != "open":
            self.openings += 1
            self.opened_at = now
            wait = max([pause(spec.retry, self.openings, rng), *waits])
            self.open_until = now + dt.timedelta(seconds=wait)
        elif waits and self.open_until is not None:
            asked = now + dt.timedelta(seconds=max(waits))
            self.open_until = max(self.open_until, asked)


def load(connection: sqlite3.Connection, activation: str) -> Breaker:
    """The breaker of a destination as the outbox keeps it."""
    row = connection.execute(
        "select failures, openings, open_until, opened_at, reason from breaker "
        "where activation = ?",
        [activation],
    ).fetchone()
    if row is None:
        return Breaker()
    return Breaker(row[0], row[1], as_instant(row[2]), as_instant(row[3]), row[4])


def save(connection: sqlite3.Connection, activation: str, one: Breaker) -> None:
    """Keep a breaker; the caller holds the transaction."""
    connection.execute(
        "insert or replace into breaker values (?, ?, ?, ?, ?, ?)",
        [
            activation,
            one.failures,
            one.openings,
            one.open_until and as_text(one.open_until),
            one.opened_at and as_text(one.opened_at),
            one.reason,
        ],
    )


def close(connection: sqlite3.Connection, activation: str) -> None:
    """Let the destination be tried again at once."""
    connection.execute("delete from breaker where activation = ?", [activation])
