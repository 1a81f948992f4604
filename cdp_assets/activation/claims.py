"""Which changes go out next: due, in order per person, and the same batch again.

A claimed change is ``delivering``. Only the holder of the activation's lock claims, so
whatever it finds in that state on starting was left by a process that died.
"""

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cdp_assets.activation.destination_spec import BatchLimit
from cdp_assets.activation.identifiers import NO_EARLIER_WITH_ITS_IDENTIFIER
from cdp_assets.activation.outbox import as_text, transaction


class Waiting(NamedTuple):
    """A change as it waits in the outbox."""

    sequence: int
    idempotency_key: str
    unified_individual_id: str
    operation: str
    payload: str
    planned_at: str
    contact_point_type: str | None
    contact_point_value: str | None
    attempts: int
    failures: int
    previous_individual_id: str | None
    previous_contact_point_type: str | None
    previous_contact_point_value: str | None


@dataclass(frozen=True)
class Claim:
    """Changes that go out together."""

    name: str
    rows: tuple[Waiting, ...]
    is_repeated: bool = False
    """A batch that was begun before."""


# Queries name both states although they want one: SQLite uses the index of what waits
# only where its condition stands in the query. With 100,000 changes waiting a claim
# takes 3 ms, and 250 ms without.
_COLUMNS = ", ".join(Waiting._fields)
# A later change of a person waits until the earlier one has ended; an alias concerns
# two people. So does one to the same contact point: of a merge the loser's removal and
# the winner's update may name one address, and the wrong one last would lose it. What
# else the destination knows people by may pass from one to another as well.
_SAME = (
    ("unified_individual_id", "previous_individual_id"),
    ("contact_point_value", "previous_contact_point_value"),
)
# One look for each column, because each has an index of its own.
_FIRST_OF_PERSON = " and ".join(
    f"""not exists (
        select 1 from outbox as earlier
        where earlier.activation = o.activation
            and earlier.{column} in (o.{now}, o.{before})
            and earlier.sequence < o.sequence
            and earlier.state in ('pending', 'delivering')
    )"""
    for now, before in _SAME
    for column in (now, before)
)
_IS_FIRST = f"{_FIRST_OF_PERSON} and {NO_EARLIER_WITH_ITS_IDENTIFIER}"


def recover(connection: sqlite3.Connection, activation: str, now: dt.datetime) -> int:
    """Put back what a killed deliverer had claimed; it may have been acted on.

    Returns:
        How many changes were put back.
    """
    with transaction(connection):
        connection.execute(
            """
            insert into attempt
            select sequence, attempts + 1, claimed_at, ?, 'interrupted', null
            from outbox where activation = ? and state = 'delivering'
            """,
            [as_text(now), activation],
        )
        return connection.execute(
            """
            update outbox
            set state = 'pending', attempts = attempts + 1, next_attempt_at = ''
            where activation = ? and state = 'delivering'
            """,
            [activation],
        ).rowcount


def claim(
    connection: sqlite3.Connection,
    activation: str,
    limit: BatchLimit,
    batches: int,
    now: dt.datetime,
    after: int = 0,
) -> list[Claim]:
    """Claim what is due: batches begun before as they were, then new ones.

    No two claimed changes belong to the same person or go to the same contact point.

    Args:
        connection: The outbox.
        activation: Whose changes.
        limit: What a new batch may hold.
        batches: How many to claim at most.
        now: The present (UTC).
        after: New batches are made of what comes after this sequence.
    """
    with transaction(connection):
        begun = _due(connection, activation, now, "o.batch is not null", -1, 0)
        names = list(dict.fromkeys(row[-1] for row in begun))[:batches]
        claims = [
            Claim(
                name,
                tuple(Waiting(*row[:-1]) for row in begun if row[-1] == name),
                is_repeated=True,
            )
            for name in names
        ]
        most = (batches - len(claims)) * limit.rows
        fresh = [
            Waiting(*row[:-1])
            for row in _due(connection, activation, now, "o.batch is null", most, after)
        ]
        claims += [Claim(batch_name(rows), rows) for rows in _cut(fresh, limit)]
        claims = claims[:batches]
        connection.executemany(
            """
            update outbox set state = 'delivering', claimed_at = ?, batch = ?
            where sequence = ?
            """,
            [
                # A batch of one needs no name to be the same again.
                (as_text(now), one.name if limit.rows > 1 else None, row.sequence)
                for one in claims
                for row in one.rows
            ],
        )
    return claims


def release(connection: sqlite3.Connection, one: Claim) -> None:
    """Give back what was claimed but not tried; the caller holds the transaction."""
    connection.executemany(
        "update outbox set state = 'pending' where sequence = ?",
        [(row.sequence,) for row in one.rows],
    )


def next_due(connection: sqlite3.Connection, activation: str) -> str | None:
    """When the next change may go, as the outbox writes instants; None: none waits."""
    (due,) = connection.execute(
        f"""
        select min(o.next_attempt_at) from outbox as o
        where o.activation = ? and o.state in ('pending', 'delivering')
            and o.state = 'pending' and {_IS_FIRST}
        """,
        [activation],
    ).fetchone()
    return None if due is None else str(due)


def _due(
    connection: sqlite3.Connection,
    activation: str,
    now: dt.datetime,
    condition: str,
    limit: int,
    after: int,
) -> list[tuple[Any, ...]]:
    return connection.execute(
        f"""
        select {_COLUMNS}, batch from outbox as o
        where o.activation = ? and o.state in ('pending', 'delivering')
            and o.state = 'pending' and o.next_attempt_at <= ?
            and o.sequence > ? and {condition} and {_IS_FIRST}
        order by o.sequence limit ?
        """,
        [activation, as_text(now), after, limit],
    ).fetchall()


def _cut(rows: list[Waiting], limit: BatchLimit) -> Iterator[tuple[Waiting, ...]]:
    """Consecutive rows in batches; one that is too large by itself goes alone."""
    batch: list[Waiting] = []
    size = 0
    for row in rows:
        size += len(row.payload.encode()) if limit.bytes else 0
        too_large = limit.bytes is not None and size > limit.bytes
        if batch and (len(batch) == limit.rows or too_large):
            yield tuple(batch)
            batch, size = [], len(row.payload.encode()) if limit.bytes else 0
        batch.append(row)
    if batch:
        yield tuple(batch)


def batch_name(rows: Sequence[Waiting]) -> str:
    """First and last sequence, and a hash of the keys: the same rows, the same name."""
    keys = "\n".join(row.idempotency_key for row in rows)
    digest = hashlib.sha256(keys.encode()).hexdigest()[:12]
    return f"{rows[0].sequence:012d}-{rows[-1].sequence:012d}-{digest}"
