"""What happened to one person, in time order, for whoever has to answer them.

Merges and splits, fields that changed, segments entered and left, what was planned for
destinations and what became of it: each receipt with the row of consent that allowed or
forbade it. Ids that were merged into the person count as theirs. Values of fields are
shown as the profile shows them; no payload is, and no address that was written to.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.activation.outbox import Outbox, as_instant
from cdp_assets.data_actions.planning import SEGMENT
from cdp_assets.identity.causes import cause_of
from cdp_assets.identity.history import moves_of
from cdp_assets.publication.field_history import changes_of


@dataclass(frozen=True, order=True)
class Event:
    """One thing that happened (UTC)."""

    at: dt.datetime
    kind: str
    text: str


def trail(
    connection: duckdb.DuckDBPyConnection,
    outbox: Outbox,
    profiles: Path,
    unified_individual_id: str,
) -> list[Event]:
    """Everything that is kept about the person, the first first.

    Args:
        connection: The warehouse; reading is enough.
        outbox: Where messages and receipts are.
        profiles: Where documents and changes of fields are.
        unified_individual_id: A living id.

    Raises:
        NoHistoryError: Nothing of that id was ever published.
    """
    ids = [unified_individual_id] + [
        retired
        for (retired,) in connection.execute(
            "select retired_id from identity.redirect "
            "where list_contains(live_ids, ?) order by 1",
            [unified_individual_id],
        ).fetchall()
    ]
    return sorted(
        [
            *_identity(connection, unified_individual_id),
            *_fields(profiles, ids),
            *_segments(connection, ids),
            *_messages(outbox, ids),
        ]
    )


def in_words(events: list[Event]) -> str:
    """A line each."""
    return "\n".join(
        f"{event.at:%Y-%m-%d %H:%M:%S}  {event.kind:<8}  {event.text}"
        for event in events
    )


def _identity(connection: duckdb.DuckDBPyConnection, unified_id: str) -> list[Event]:
    found = []
    for move in moves_of(connection, unified_id):
        cause = cause_of(connection, "individual", move.run, move.records)
        if cause.at is None:
            continue
        here = "this person"
        came, went = (
            here if each == unified_id else each or "outside"
            for each in (move.came_from, move.went_to)
        )
        because = f"; because of {'; '.join(cause.news)}" if cause.news else ""
        records = ", ".join(move.records)
        text = f"{records}: from {came} to {went} (run {move.run}){because}"
        found.append(Event(cause.at, "identity", text))
    return found


def _fields(profiles: Path, ids: list[str]) -> list[Event]:
    found = []
    for change in changes_of(profiles, ids):
        text = f"{change.field} is nothing now"
        if change.value_after is not None:
            text = f"{change.field} is {change.value_after} by {change.record_after}"
        # Nothing is said of what it was before where that was erased.
        if change.value_before is not None:
            text += f", was {change.value_before} by {change.record_before}"
        text += f" (run {change.run})"
        found.append(Event(change.at, "field", text))
    return found


def _segments(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> list[Event]:
    rows = connection.execute(
        """
        with stay as (
            from segments.membership
            where unified_individual_id in (select unnest($ids::varchar[]))
        )
        select entered_at, 'entered ' || segment from stay
        union all
        select left_at, 'left ' || segment from stay where left_at is not null
        """,
        {"ids": ids},
    ).fetchall()
    return [Event(at, "segment", text) for at, text in rows]


def _messages(outbox: Outbox, ids: list[str]) -> list[Event]:
    """What was planned, and each end of it, by the receipt's own time."""
    if not outbox.path.exists():
        return []
    marks = ", ".join("?" * len(ids))
    with outbox.connect() as connection:
        planned = connection.execute(
            f"""
            select planned_at, segment, activation || ' ' || operation || ' ('
                || cause || '), change ' || sequence
            from outbox where unified_individual_id in ({marks})
            """,
            ids,
        ).fetchall()
        ended = connection.execute(
            f"""
            select r.attempted_at, o.segment, o.activation || ' ' || o.operation || ' '
                || r.outcome || coalesce(': ' || r.reason, '')
                || coalesce('; consent ' || r.consent_record, '')
                || '; receipt ' || r.receipt_id
            from receipt as r join outbox as o using (sequence)
            where o.unified_individual_id in ({marks})
            """,
            ids,
        ).fetchall()
    found = []
    for at, segment, text in [*planned, *ended]:
        instant = as_instant(at)
        assert instant is not None  # noqa: S101 - both columns are not null
        found.append(
            Event(instant, "action" if segment == SEGMENT else "message", text)
        )
    return found
