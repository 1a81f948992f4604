"""Decisions of people: two records are the same person, or they are not.

A decision outlives rebuilds and models, and wins over every score, rule and fact. It
names records, so it waits (is dormant) while one of them does not exist. Decisions are
data, not derivable: they are in the backup.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from cdp_assets.identity.contradiction import Decision
from cdp_assets.identity.decision_checks import (
    DecisionError,
    Pair,
    check_pair,
    refuse_contradiction,
)
from cdp_assets.warehouse import transaction

Kind = Literal["same", "different"]


@dataclass(frozen=True)
class Given:
    """What a command wrote."""

    number: int
    pairs: list[Pair]
    dormant: list[str]
    """Named records that do not exist now."""


@dataclass(frozen=True)
class Author:
    """Who decides, when (UTC) and why."""

    by: str
    at: dt.datetime
    why: str


def active(connection: duckdb.DuckDBPyConnection) -> list[Decision]:
    """The decisions that were not undone."""
    rows = connection.execute(
        """
        select decision, kind, record_l, record_r from identity.decision
        where undone_at is null order by decision
        """
    ).fetchall()
    return [Decision(*row) for row in rows]


def decide(
    connection: duckdb.DuckDBPyConnection,
    kind: Kind,
    pairs: Iterable[Pair],
    author: Author,
    *,
    command: str,
) -> Given:
    """Write down a decision about one or more pairs of records.

    Raises:
        DecisionError: A record names no stream or itself, the pairs are of two objects,
            all of it is decided already, or it contradicts what was decided before;
            then nothing is written.
    """
    wanted = sorted({(min(pair), max(pair)) for pair in pairs})
    known = _objects(connection, sorted({record for pair in wanted for record in pair}))
    for pair in wanted:
        check_pair(pair, known)
    before = active(connection)
    standing = {(each.left, each.right) for each in before if each.kind == kind}
    # Pairs decided by another command are decided again, so that each can be undone
    # by itself.
    if standing.issuperset(wanted):
        number = next(
            each.number for each in before if (each.left, each.right) == wanted[0]
        )
        raise DecisionError(f"that is decided already: decision {number}")
    with transaction(connection):
        (first,) = connection.execute(
            "select coalesce(max(decision), 0) + 1 from identity.decision"
        ).fetchall()[0]
        given = [
            Decision(first + place, kind, *pair) for place, pair in enumerate(wanted)
        ]
        refuse_contradiction(before, given)
        connection.executemany(
            """
            insert into identity.decision (
                decision, kind, record_l, record_r, decided_by, decided_at, reason,
                command, given_with
            ) values (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                [
                    *(each.number, kind, each.left, each.right),
                    *(author.by, author.at, author.why, command, first),
                ]
                for each in given
            ],
        )
    named = {record for pair in wanted for record in pair}
    return Given(first, wanted, sorted(named - known.keys()))


def split(
    connection: duckdb.DuckDBPyConnection,
    person: str,
    records: Sequence[str],
    author: Author,
) -> Given:
    """Part the records from the rest of their person; without records, all of them.

    Args:
        connection: The warehouse, open for writing.
        person: A living id, or any record of the person.
        records: Those to part from the others; among each other evidence decides.
        author: Who says so.

    Raises:
        DecisionError: There is no such person, a record is not theirs, or nothing
            would be left to part from.
    """
    members = members_of(connection, person)
    strangers = [record for record in records if record not in members]
    if strangers:
        raise DecisionError(
            f"{', '.join(strangers)}: not a record of {person}, who consists of "
            f"{', '.join(members)}"
        )
    rest = [record for record in members if record not in records]
    if len(members) == 1 or not rest:
        raise DecisionError(
            f"{person} would have nothing left to be parted from: name some of "
            f"{', '.join(members)}"
        )
    pairs = (
        [(one, other) for one in records for other in rest]
        if records
        else [(a, b) for place, a in enumerate(members) for b in members[place + 1 :]]
    )
    return decide(connection, "different", pairs, author, command="split")


def undo(
    connection: duckdb.DuckDBPyConnection, number: int, author: Author
) -> list[Decision]:
    """Take back all that was decided by one command; the rows stay, marked.

    Args:
        connection: The warehouse, open for writing.
        number: Any decision of the command.
        author: Who takes it back.

    Returns:
        What no longer holds.

    Raises:
        DecisionError: There is no such decision, or it was undone before.
    """
    found = connection.execute(
        """
        update identity.decision set undone_at = $at, undone_by = $by,
            undone_reason = $why
        where undone_at is null and coalesce(given_with, decision) = (
            select coalesce(given_with, decision) from identity.decision
            where decision = $number
        )
        returning decision, kind, record_l, record_r
        """,
        {"at": author.at, "by": author.by, "why": author.why, "number": number},
    ).fetchall()
    if not found:
        raise DecisionError(
            f"no decision {number} stands; `cdp identity decisions` lists those that do"
        )
    return sorted((Decision(*row) for row in found), key=lambda each: each.number)


def members_of(connection: duckdb.DuckDBPyConnection, person: str) -> list[str]:
    """The records of a person or company, by its living id or any of its records.

    Raises:
        DecisionError: Nobody has that key; a retired id is told where it leads.
    """
    rows = connection.execute(
        """
        with link as (
            select unified_individual_id as id, record
            from identity.unified_link_individual
            union all
            select unified_account_id, record from identity.unified_link_account
        )
        select record from link
        where id in (select id from link where id = $key or record = $key)
        order by record
        """,
        {"key": person},
    ).fetchall()
    if rows:
        return [record for (record,) in rows]
    led = connection.execute(
        "select live_ids from identity.redirect where retired_id = ?", [person]
    ).fetchall()
    if led and led[0][0]:
        raise DecisionError(
            f"{person} was retired and leads to {', '.join(led[0][0])}: name one of "
            "these"
        )
    raise DecisionError(
        f"{person} is no living person and no resolved record; name an id, or a "
        "record as stream:key"
    )


def _objects(
    connection: duckdb.DuckDBPyConnection, records: list[str]
) -> dict[str, str]:
    """Which of the records exist, and whether as people or companies."""
    return dict(
        connection.execute(
            "select record, object from identity.node "
            "where record in (select unnest($records::varchar[]))",
            {"records": records},
        ).fetchall()
    )
