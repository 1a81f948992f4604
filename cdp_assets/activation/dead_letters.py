"""What an operator does about changes that were given up, or a destination that waits.

Listing shows no payload: that is personal data, which ``showing`` is asked for.
"""

import datetime as dt
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdp_assets.activation.breaker import load
from cdp_assets.activation.identifiers import (
    begin_waiting,
    opposite_is_on_its_way,
    others_know,
)
from cdp_assets.activation.outbox import Outbox, as_text, transaction
from cdp_assets.activation.pausing import EVERYTHING, paused
from cdp_assets.activation.showing import no_such_change


@dataclass(frozen=True)
class Listed:
    """A change in the outbox, without its payload."""

    sequence: int
    activation: str
    unified_individual_id: str
    operation: str
    state: str
    attempts: int
    reason: str | None
    finished_at: str | None


@dataclass(frozen=True)
class Replayed:
    """Which dead letters go out again, and why the others do not."""

    replayed: tuple[int, ...]
    overtaken: tuple[int, ...]
    """A later change of their person, or of their address, was tried already."""
    untouched: Mapping[int, str]
    """Those that are not dead, with the state they are in."""


@dataclass(frozen=True)
class Dropped:
    """How many dead letters were given up, and which numbers are none."""

    dropped: int
    untouched: Mapping[int, str]


def count_states(
    outbox: Outbox, *, activation: str | None = None
) -> list[tuple[str, str, int]]:
    """How many changes each activation has in each state."""
    with outbox.connect() as connection:
        return connection.execute(
            """
            select activation, state, count(*) from outbox
            where coalesce(activation = ?, true)
            group by activation, state order by activation, state
            """,
            [activation],
        ).fetchall()


def list_changes(
    outbox: Outbox,
    *,
    state: str = "dead",
    activation: str | None = None,
    reason: str | None = None,
    limit: int = -1,
) -> list[Listed]:
    """List changes in ``state``, oldest first.

    Args:
        outbox: Where they are.
        state: The state they are in.
        activation: Only those of this one.
        reason: Only those whose reason holds this text, in whatever case.
        limit: So many at most; negative: all.
    """
    with outbox.connect() as connection:
        rows = connection.execute(
            """
            select sequence, activation, unified_individual_id, operation, state,
                attempts, reason, finished_at
            from outbox
            where state = ? and coalesce(activation = ?, true)
                and coalesce(instr(lower(reason), lower(?)) > 0, ? is null)
            order by sequence limit ?
            """,
            [state, activation, reason, reason, limit],
        ).fetchall()
    return [Listed(*row) for row in rows]


def standings(
    outbox: Outbox, now: dt.datetime, *, activation: str | None = None
) -> list[tuple[str, str]]:
    """Activations that are not delivered to as usual, and why, in words."""
    with outbox.connect() as connection:
        found = connection.execute(
            """
            select activation from breaker union select activation from pause
            order by 1
            """
        ).fetchall()
        said = []
        for (name,) in found:
            if activation not in (None, name) and name != EVERYTHING:
                continue
            if (stopped := paused(connection, name)) is not None:
                said.append((name, stopped))
                continue
            one = load(connection, name)
            words = f"{one.state(now)}: {one.reason or f'{one.failures} failures'}"
            if one.open_until is not None:
                words += f"; left alone until {one.open_until:%Y-%m-%d %H:%M:%S}"
            said.append((name, words))
    return said


def replay(outbox: Outbox, sequences: Sequence[int], now: dt.datetime) -> Replayed:
    """Let dead letters go out again, under their old keys.

    One whose person had a later change tried already would undo it: it stays dead. So
    does, where people are known by an address, the removal of one that is somebody's.

    Args:
        outbox: Where they are.
        sequences: Their numbers.
        now: When they are due (UTC).

    Raises:
        NoSuchChangeError: There is no such change; nothing was done.
    """
    replayed: list[int] = []
    overtaken: list[int] = []
    with outbox.connect() as connection, transaction(connection):
        untouched = _not_dead(connection, sequences)
        for sequence in dict.fromkeys(sequences):
            if sequence in untouched:
                continue
            if _is_overtaken(connection, sequence) or not _waits_again(
                connection, sequence, now
            ):
                overtaken.append(sequence)
            else:
                replayed.append(sequence)
    return Replayed(tuple(replayed), tuple(overtaken), untouched)


def drop(outbox: Outbox, sequences: Sequence[int]) -> Dropped:
    """Give dead letters up for good; they are not planned again until they change.

    Raises:
        NoSuchChangeError: There is no such change; nothing was done.
    """
    with outbox.connect() as connection, transaction(connection):
        untouched = _not_dead(connection, sequences)
        dropped = sum(
            connection.execute(
                "update outbox set state = 'dropped' "
                "where sequence = ? and state = 'dead'",
                [sequence],
            ).rowcount
            for sequence in sequences
        )
    return Dropped(dropped, untouched)


def _not_dead(
    connection: sqlite3.Connection, sequences: Sequence[int]
) -> dict[int, str]:
    """The state of each change that is no dead letter."""
    found: dict[int, str] = {}
    for sequence in sequences:
        row = connection.execute(
            "select state from outbox where sequence = ?", [sequence]
        ).fetchone()
        if row is None:
            raise no_such_change(connection, sequence)
        if row[0] != "dead":
            found[sequence] = row[0]
    return found


def _waits_again(
    connection: sqlite3.Connection, sequence: int, now: dt.datetime
) -> bool:
    """Let a dead letter wait, unless what would undo it is under way."""
    connection.execute("savepoint again")
    connection.execute(
        """
        update outbox
        set state = 'pending', failures = 0, next_attempt_at = ?, batch = null,
            finished_at = null
        where sequence = ? and state = 'dead'
        """,
        [as_text(now), sequence],
    )
    begin_waiting(connection, sequence, sequence)
    waits = not opposite_is_on_its_way(connection, sequence)
    if not waits:
        connection.execute("rollback to again")
    connection.execute("release again")
    return waits


def _is_overtaken(connection: sqlite3.Connection, sequence: int) -> bool:
    payload, is_removal = connection.execute(
        "select payload, operation = 'remove' from outbox where sequence = ?",
        [sequence],
    ).fetchone()
    known = others_know(connection, sequence, payload) if is_removal else {}
    if known:
        return all(known.values())
    (later,) = connection.execute(
        """
        select exists (
            select 1 from outbox as o join outbox as later
                on later.activation = o.activation
                and o.unified_individual_id in (
                    later.unified_individual_id, later.previous_individual_id
                )
                and later.sequence > o.sequence
                and (later.attempts > 0 or later.state = 'delivering'
                    -- They left, even where nothing had to be sent for it.
                    or (later.operation = 'remove' and o.operation <> 'remove'))
            where o.sequence = ?
        )
        """,
        [sequence],
    ).fetchone()
    return bool(later)
