"""What only grows is cut: books that nobody reads any more.

Kept for ever: what ids and deliveries depend on (registry, redirects, sent states,
memberships, the ledger, runs), what waits in quarantine or is held, the last load of
each stream and the last change of each person.
"""

import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.warehouse import transaction

# A year and the same month of the year before; 18 streams every quarter of an hour are
# 700,000 rows.
LOAD_DAYS = 400
# Consumers catch up within a run; a month is for one that was switched off.
CHANGE_DAYS = 30


@dataclass(frozen=True)
class Cut:
    """How many rows went, by what they were."""

    loads: int
    replayed: int
    resolutions: int
    changes: int


def cut_books(connection: duckdb.DuckDBPyConnection, *, now: dt.datetime) -> Cut:
    """Delete what ended long ago and is needed for nothing.

    Args:
        connection: The warehouse, open for writing.
        now: By the wall clock (UTC), as the books are kept.
    """
    year = now - dt.timedelta(days=LOAD_DAYS)
    with transaction(connection):
        return Cut(
            # By loads that are still known, so before those go.
            replayed=_cut_replayed(connection, year),
            loads=_cut_loads(connection, year),
            resolutions=_cut_resolutions(connection, year),
            changes=_cut_changes(connection, now - dt.timedelta(days=CHANGE_DAYS)),
        )


def _cut_loads(connection: duckdb.DuckDBPyConnection, before: dt.datetime) -> int:
    """All but the last load of each stream: it tells how fresh the stream is.

    The number of the next load comes from the greatest one, which is among those.
    """
    return _deleted(
        connection,
        """
        delete from ops.load where finished_at < ? and load_seq not in (
            select max(load_seq) from ops.load group by stream
        )
        """,
        before,
    )


def _cut_replayed(connection: duckdb.DuckDBPyConnection, before: dt.datetime) -> int:
    """Rows that a replay took out of quarantine; those that wait stay."""
    return _deleted(
        connection,
        """
        delete from ops.quarantine
        where replayed_load_seq is not null and replayed_load_seq < (
            select coalesce(min(load_seq), 0) from ops.load where finished_at >= ?
        )
        """,
        before,
    )


def _cut_changes(connection: duckdb.DuckDBPyConnection, before: dt.datetime) -> int:
    """Changes of runs before that instant, below the mark of the slowest consumer.

    The last of each person stays, so that a new consumer can start from nothing.
    """
    return _deleted(
        connection,
        """
        delete from identity.change where run in (
            select run from ops.run where started_at < ?
        ) and seq <= (select coalesce(min(seq), 9223372036854775807) from ops.mark)
        and seq not in (
            select max(seq) from identity.change group by unified_individual_id
        )
        """,
        before,
    )


def _cut_resolutions(connection: duckdb.DuckDBPyConnection, before: dt.datetime) -> int:
    """All but the last of each outcome, which gates and explanations compare with."""
    return _deleted(
        connection,
        """
        delete from identity.run where started_at < ? and run not in (
            select max(run) from identity.run group by object, status
        )
        """,
        before,
    )


def _deleted(
    connection: duckdb.DuckDBPyConnection, sql: str, before: dt.datetime
) -> int:
    row = connection.execute(sql, [before]).fetchone()
    return int(row[0]) if row else 0
