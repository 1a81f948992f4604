"""Waves of changes over a sample, and the state that they must lead to."""

import contextlib
import csv
import datetime as dt
import random
import sqlite3
from pathlib import Path

import duckdb

from cdp_assets.digests import ARRIVAL, digests
from cdp_assets.streams.inbox import MARKER

SCHEMAS = ["dlo", "dmo", "identity", "unified", "insights", "segments", "activation"]
# What says when a run took place and not what it found.
WHEN = ("started_at", "finished_at")
# Receipts say when each attempt was made; they are compared without that.
TIMED = ("dlo.system_receipt", "insights.delivery_rates")


def drop_changes(root: Path, sources: Path, *, seed: int, share: float = 0.1) -> None:
    """Drop a CSV of edited contacts into the inbox of ``root``.

    E-mails taken over from others merge people, new ones split them, so that ids come,
    go and are redirected.

    Args:
        root: The runtime folder.
        sources: The samples that ``root`` was loaded from.
        seed: The same for the same changes; a greater one is a later wave.
        share: How many of the contacts change.
    """
    rows = contacts(sources)
    rng = random.Random(seed)
    changed = []
    for row in rng.sample(rows, max(5, int(len(rows) * share))):
        kind = rng.randrange(3)
        if kind == 0:
            edited = {"Email": rng.choice(rows)["Email"]}
        elif kind == 1:
            edited = {"Email": f"new{rng.randrange(10**9)}@example.com", "Phone": ""}
        else:
            edited = {"LastName": rng.choice(rows)["LastName"], "MobilePhone": ""}
        at = dt.datetime(2026, 11, 1 + seed, rng.randrange(24), rng.randrange(60))
        changed.append(row | edited | {"SystemModstamp": f"{at:%Y-%m-%dT%H:%M:%S}Z"})
    path = root / "inbox" / "crm_contact" / f"changes-{seed}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(changed)
    path.with_name(path.name + MARKER).touch()


def contacts(sources: Path) -> list[dict[str, str]]:
    """The contacts of a sample, each as its last file holds it."""
    found = {}
    for path in sorted((sources / "crm_contact").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as lines:
            found |= {row["Id"]: row for row in csv.DictReader(lines)}
    return list(found.values())


def state(root: Path, but: tuple[str, ...] = ()) -> dict[str, object]:
    """What a run leaves, but for when it was: tables, outbox and receipts.

    Equal for two runtime folders exactly if nobody downstream could tell them apart.

    Args:
        root: The runtime folder.
        but: Further columns that do not count.
    """
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        found: dict[str, object] = dict(
            digests(connection, SCHEMAS, exclude=(*ARRIVAL, *WHEN, *but))
        )
    for table in TIMED:
        found.pop(table, None)
    with contextlib.closing(sqlite3.connect(root / "outbox.sqlite")) as outbox:
        found["outbox"] = outbox.execute(
            """
            select sequence, idempotency_key, activation, segment, operation, cause,
                unified_individual_id, payload, contact_point_value, state,
                consent_record, reason
            from outbox order by sequence
            """
        ).fetchall()
        found["receipt"] = outbox.execute(
            """
            select sequence, destination, outcome, reason, consent_record
            from receipt order by sequence
            """
        ).fetchall()
    return found


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """The parts in which two states differ; empty when none does."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]
