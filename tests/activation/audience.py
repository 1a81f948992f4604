"""An audience that knows people by addresses and numbers, as Google's does."""

import datetime as dt
import json
from typing import Any

from cdp_assets.activation.destinations.protocol import Batch, Change, Reply
from cdp_assets.activation.identifiers import register
from cdp_assets.activation.outbox import Outbox, transaction
from tests.activation.waiting import Answering, asked

AS_OF = dt.datetime(2026, 6, 1, 12)
FIELDS = ("email", "phone")
AUDIENCE = {
    "kind": "http",
    "template": "google_audience",
    "settings": {"account_id": "1", "audience_id": "2"},
    "environment": {
        "client_id": "ID",
        "client_secret": "SECRET",
        "refresh_token": "TOKEN",
    },
}
# A test gives somebody another number by what they have spent.
PHONE = "'+49' || lifetime_value.lifetime_value::integer"


class Audience(Answering):
    """Holds addresses and numbers, as Google's does; ``mode`` says how it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, str] = {}
        self.got: list[tuple[str, str, str]] = []
        self.mode = "well"

    def answer(self, batch: Batch) -> list[Reply]:
        (change,) = batch.changes
        key, removes = change.idempotency_key, change.operation == "remove"
        if self.mode == ("refuses removals" if removes else "refuses adds"):
            return [Reply(key, "rejected", "no", reached=False)]
        if removes and self.mode == "fails before removing":
            self.mode = "well"
            return [Reply(key, "failed", "cut off")]
        self._act(change)
        if removes and self.mode == "fails after removing":
            self.mode = "well"
            return [Reply(key, "failed", "cut off")]
        if not removes and self.mode == "loses answers to adds":
            return [Reply(key, "unavailable", "cut off")]
        return super().answer(batch)

    def _act(self, change: Change) -> None:
        named = json.loads(change.payload)
        self.got.append(
            (
                change.operation,
                change.unified_individual_id,
                " ".join(named[field] for field in FIELDS if named[field]),
            )
        )
        for field in FIELDS:
            if change.operation == "remove":
                self.known.pop(named[field], None)
            elif named[field]:
                self.known[named[field]] = change.unified_individual_id


def goes(
    world: Any, spec: Any, audience: Audience, mode: str = "well"
) -> list[tuple[str, str, str]]:
    """Plan, deliver and settle; returns what arrived."""
    world.send_off(spec)
    audience.mode = mode
    audience.got.clear()
    world.deliver(spec, audience)
    follow_from_the_outbox(world.outbox, spec.name)
    return audience.got.copy()


def with_members(world: Any, spec: Any, *names: str) -> Audience:
    """An audience that these are in, under one number."""
    audience = Audience()
    for name in names:
        world.person(name, value=1)
    goes(world, spec, audience)
    return audience


def tables(outbox: Outbox) -> list[list[tuple[Any, ...]]]:
    return [
        sorted(asked(outbox, f"select * from {table}"))
        for table in ("waiting_identifier", "held_identifier")
    ]


def follow_from_the_outbox(outbox: Outbox, name: str) -> None:
    """What is kept up change by change is what is found when it is made anew."""
    before = tables(outbox)
    with outbox.connect() as connection, transaction(connection):
        register(connection, name, ())
        register(connection, name, FIELDS)
    assert tables(outbox) == before


def dead(outbox: Outbox) -> list[int]:
    return [
        sequence
        for (sequence,) in asked(
            outbox, "select sequence from outbox where state = 'dead' order by 1"
        )
    ]
