"""Engagement in increments: what a run adds must equal building it all again.

Waves of events go through the real loader, with duplicates, late events, keys sent
again with other content, and deletions; after each wave an increment is compared, row
by row and column by column, with a full refresh of the same tables.
"""

import datetime as dt
import json
import random
from typing import Any

import duckdb
import pytest

from cdp_assets.digests import digests
from cdp_assets.paths import Paths
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.landing import land, waiting
from cdp_assets.streams.load import load
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import Warehouse, utc_now
from tests.harmonising import Dbt

MODELS = ("email_engagement", "website_engagement", "shopping_cart_engagement")
STREAMS = ("email_event", "web_event")
START = dt.datetime(2026, 1, 1)
Event = dict[str, Any]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    return Dbt(tmp_path_factory.mktemp("dbt"), [f"+{model}" for model in MODELS])


class Platform:
    """One warehouse: load a wave, build an increment, build all of it."""

    def __init__(self, paths: Paths, dbt: Dbt) -> None:
        self._paths = paths
        self._dbt = dbt

    def load(self, **waves: list[Event]) -> None:
        for stream, events in waves.items():
            lines = "".join(json.dumps(event) + "\n" for event in events)
            land(self._paths, stream, "events.ndjson", lines.encode())
        with Warehouse(self._paths).writing("a test") as connection:
            for name in STREAMS:
                spec = load_streams()[name]
                ensure_table(connection, spec)
                files = waiting(connection, self._paths, spec)
                load(connection, spec, files, started_at=utc_now())

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with Warehouse(self._paths).writing("a test") as connection:
            return connection.execute(statement).fetchall()

    def increment(self) -> dict[str, str]:
        return self._build()

    def rebuilt(self) -> dict[str, str]:
        return self._build("--full-refresh")

    def _build(self, *arguments: str) -> dict[str, str]:
        self._dbt.build(self._paths, *arguments)
        with duckdb.connect(str(self._paths.warehouse), read_only=True) as connection:
            found = digests(connection, ["dmo"])
        assert found.keys() == {f"dmo.{model}" for model in MODELS}
        return found


@pytest.fixture
def platform(paths: Paths, dbt: Dbt) -> Platform:
    return Platform(paths, dbt)


def moment(chance: random.Random) -> str:
    return (START + dt.timedelta(hours=chance.randrange(900))).isoformat()


def emails(chance: random.Random, keys: range) -> list[Event]:
    """E-mail events; the same key never has the same content twice."""
    return [
        {
            "EventId": f"e{key}",
            "EventType": chance.choice(["Sent", "Open", "Click", "Bounce"]),
            "EventDate": moment(chance),
            "SubscriberKey": f"s{chance.randrange(20)}",
            "EmailName": f"mailing {chance.random()}",
            # A key first sent as a customer's and again as a test must disappear.
            "IsTestSend": chance.random() < 0.3,
        }
        for key in keys
    ]


def visits(chance: random.Random, keys: range) -> list[Event]:
    """Web events; sent again, a cart event may come as a page view, or the reverse."""
    return [
        {
            "messageId": f"m{key}",
            "type": chance.choice(["page", "identify", "track", "track"]),
            "timestamp": moment(chance),
            "anonymousId": f"d{chance.randrange(15)}",
            "userId": chance.choice([None, "7", "8"]),
            "event": chance.choice(["Product Added", "Cart Viewed", "Product Viewed"]),
            "properties": {"cart_id": f"c{chance.randrange(9)}", "price": "9.99"},
        }
        for key in keys
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_increments_hold_what_a_full_refresh_holds(
    platform: Platform, seed: int
) -> None:
    """A figure that depends on when the pipeline ran is not a figure."""
    chance = random.Random(seed)
    first_emails, first_visits = emails(chance, range(80)), visits(chance, range(120))
    # Both sources deliver at least once: the same event twice, in one file and in two.
    platform.load(
        email_event=first_emails + first_emails[:20],
        web_event=first_visits + first_visits[:20],
    )
    first = platform.increment()
    assert first == platform.rebuilt()

    # New keys, most of them earlier than what is there; old keys with other content;
    # and the same events once more.
    platform.load(
        email_event=emails(chance, range(40, 110)) + first_emails[:10],
        web_event=visits(chance, range(60, 170)) + first_visits[:10],
    )
    second = platform.increment()
    assert all(second[table] != first[table] for table in first)
    assert second == platform.rebuilt()

    # No file brings a delete of an event, but an erasure does, as a load of its own.
    for stream in STREAMS:
        platform.execute(
            f"""
            insert into ops.load (load_seq, stream, started_at, finished_at, rows_in,
                inserted, updated, deleted, unchanged, superseded, quarantined, files,
                unreadable_files, notes)
            select max(load_seq) + 1, '{stream}', now(), now(), 0, 0, 0, 1, 0, 0, 0, 0,
                0, []
            from ops.load;
            update dlo.{stream} set _is_deleted = true, _load_seq = (
                select max(load_seq) from ops.load
            )
            where _line % 7 = 0
            """
        )
    third = platform.increment()
    assert all(third[table] != second[table] for table in second)
    assert third == platform.rebuilt()


def test_an_increment_without_news_changes_nothing(platform: Platform) -> None:
    """Every run of every schedule passes here; most of them find nothing new."""
    chance = random.Random(3)
    platform.load(
        email_event=emails(chance, range(40)), web_event=visits(chance, range(60))
    )

    assert platform.increment() == platform.increment()


def test_an_event_sent_again_as_a_test_is_forgotten(platform: Platform) -> None:
    """Replacing by key alone leaves the row that no longer maps to anything."""
    event = {
        "EventId": "e1",
        "EventType": "Open",
        "EventDate": START.isoformat(),
        "SubscriberKey": "s1",
    }
    page = {"messageId": "m1", "type": "page", "timestamp": START.isoformat()}
    platform.load(email_event=[event], web_event=[page])
    platform.increment()
    versions = [{**event, "IsTestSend": True, "Url": f"/{n}"} for n in range(8)]

    # The greatest content hash stands, so among eight one is greater than the first.
    platform.load(email_event=versions)
    platform.increment()

    assert platform.execute("select IsTestSend from dlo.email_event") == [(True,)]
    assert platform.execute("select id from dmo.email_engagement") == []
    assert platform.execute("select id from dmo.website_engagement") == [
        ("web_event:m1",)
    ]
