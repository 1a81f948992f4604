"""From the warehouse to the outbox: planned changes, and what their sending depends on.

All is copied in one transaction of the outbox, so that no change can wait there
without the rows of consent that decide about it, nor an alias without its merge.
Copying is by sequence and ignores keys that the outbox has: after a crash, or with a
warehouse restored from a backup, it may be repeated.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from cdp_assets.activation.identifiers import begin_waiting
from cdp_assets.activation.outbox import Outbox, as_text, last_sequence, transaction
from cdp_assets.governance.answers import gather_answers

_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class HandOver:
    """How many changes were new to the outbox, and how many consent rows it has."""

    copied: int
    consent_rows: int


def hand_over(connection: duckdb.DuckDBPyConnection, outbox: Outbox) -> HandOver:
    """Copy what was planned since, and refresh the consent of all that waits.

    Args:
        connection: The warehouse; read only.
        outbox: Where it goes.
    """
    with outbox.connect() as target, transaction(target):
        copied = _copy(connection, target)
        _copy_fields(connection, target)
        _refresh_merges(connection, target)
        consent_rows = _refresh_consent(connection, target)
    return HandOver(copied, consent_rows)


def _copy(source: duckdb.DuckDBPyConnection, target: sqlite3.Connection) -> int:
    before, last = target.total_changes, last_sequence(target)
    rows = source.execute(
        """
        select sequence, idempotency_key, activation, segment, unified_individual_id,
            operation, cause, payload::varchar, contact_point_type,
            contact_point_value, planned_run, planned_at, previous_individual_id,
            previous_contact_point_type, previous_contact_point_value
        from activation.planned where sequence > ? order by sequence
        """,
        [last],
    )
    for batch in _batches(rows):
        # Due at once: the retry clock is the wall clock, not the run's.
        target.executemany(
            """
            insert or ignore into outbox (
                sequence, idempotency_key, activation, segment, unified_individual_id,
                operation, cause, payload, contact_point_type, contact_point_value,
                planned_run, planned_at, previous_individual_id,
                previous_contact_point_type, previous_contact_point_value,
                next_attempt_at
            ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')
            """,
            batch,
        )
    copied = target.total_changes - before
    begin_waiting(target, last + 1, last_sequence(target))
    return copied


def _copy_fields(source: duckdb.DuckDBPyConnection, target: sqlite3.Connection) -> None:
    fields = source.execute("select * from activation.target_field").fetchall()
    target.execute("delete from target_field")
    target.executemany("insert into target_field values (?, ?, ?, ?)", fields)


def _refresh_merges(
    source: duckdb.DuckDBPyConnection, target: sqlite3.Connection
) -> None:
    """Replace the merges by those that stand today, for the aliases that wait."""
    target.execute("delete from merge")
    waiting = target.execute(
        """
        select distinct previous_individual_id from outbox
        where state in ('pending', 'delivering', 'dead')
            and previous_individual_id is not null
        """
    ).fetchall()
    if not waiting:
        return
    rows = source.execute(
        """
        select retired_id, live_ids[1] from identity.redirect
        where kind = 'merged' and len(live_ids) = 1
            and retired_id in (select unnest(?))
        """,
        [[person for (person,) in waiting]],
    ).fetchall()
    target.executemany("insert into merge values (?, ?)", rows)


def _refresh_consent(
    source: duckdb.DuckDBPyConnection, target: sqlite3.Connection
) -> int:
    """Replace the consent rows by today's, for the contact points that wait."""
    import pyarrow as pa

    points = target.execute(
        """
        select distinct contact_point_type, contact_point_value from outbox
        where state in ('pending', 'delivering', 'dead')
            and contact_point_value is not null and operation <> 'remove'
        union
        select previous_contact_point_type, previous_contact_point_value from outbox
        where state in ('pending', 'delivering', 'dead')
            and previous_contact_point_value is not null
        """
    ).fetchall()
    target.execute("delete from consent")
    if not points:
        return 0
    types, values = zip(*points, strict=True)
    source.register("waiting_point", pa.table({"type": types, "value": values}))
    gather_answers(source)
    # Under the spelling that waits: that is what an attempt looks for.
    rows = source.execute(
        """
        select p.type, p.value, a.id, a.purpose, a.channel, a.status, a.source,
            a.captured_at, a.effective_from, a.effective_to
        from waiting_point as p join consent_answer as a
            on a.contact_point_type = p.type
            and a.contact_point_key = consent_key(p.type, p.value)
        """
    )
    count = 0
    for batch in _batches(rows):
        target.executemany(
            "insert into consent values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batch
        )
        count += len(batch)
    source.unregister("waiting_point")
    return count


def _batches(
    rows: duckdb.DuckDBPyConnection,
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in pieces that fit in memory, with instants as the outbox keeps them."""
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        yield [
            tuple(
                as_text(value) if isinstance(value, dt.datetime) else value
                for value in row
            )
            for row in batch
        ]
