"""What destinations would be sent if a decision about who is who were undone.

The decision is taken back in a copy, people, profiles, segments and plans follow there,
and the changes planned are read off: they are what the next run sends, because it does
the same to the same facts. What a data action told is told; it is listed, and no more.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import duckdb

from cdp_assets.data_actions.planning import SEGMENT
from cdp_assets.identity.decisions import Author, undo
from cdp_assets.identity.rules import RULESET, read_ruleset
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse, utc_now
from cdp_assets.what_if.consequences import act_out, build_profiles
from cdp_assets.what_if.people import Moves, compare_links, remember_links
from cdp_assets.what_if.rehearsal import Say, Trial, last_instant, resolve_in_copy
from cdp_assets.what_if.scratch import scratch


@dataclass(frozen=True)
class Correction:
    """One operation: per field what the destination was sent last, and would be."""

    activation: str
    operation: str
    unified_individual_id: str
    cause: str
    fields: dict[str, tuple[Any, Any]]
    previous_individual_id: str | None = None
    """Of an alias: whom the destination knows so far."""


@dataclass(frozen=True)
class Told:
    """A message of a data action about people who were one because of the decision."""

    action: str
    unified_individual_id: str
    planned_at: dt.datetime


@dataclass(frozen=True)
class UndoOutlook:
    """What would come of it."""

    undone: list[str]
    people: list[Moves]
    gates: list[str]
    corrections: list[Correction]
    told: list[Told]


def rehearse_undo(paths: Paths, number: int, *, say: Say) -> UndoOutlook:
    """Undo a decision in a copy of the warehouse; nothing of the living one is written.

    Args:
        paths: The runtime folder.
        number: Any decision of the command to take back.
        say: Told one line per step.

    Raises:
        DecisionError: No such decision stands.
        RehearsalError: The result was held for what cannot be released, or dbt failed.
    """
    trial = Trial(read_ruleset(RULESET), {})
    with scratch(paths) as copy:
        opener = Warehouse(copy)
        with opener.writing("an undo plan") as connection:
            as_of = last_instant(connection)
            say("the people of today")
            today = resolve_in_copy(connection, as_of, trial)
        if today.created or today.changed or today.retired:
            build_profiles(copy, as_of)
        with opener.writing("an undo plan") as connection:
            # What is owed today without the undo is no part of the difference.
            act_out(connection, copy, run=today.run, as_of=as_of)
            remember_links(connection)
            _remember_sent(connection)
            author = Author("undo --plan", utc_now(), "a trial")
            undone = [str(each) for each in undo(connection, number, author)]
            say("the people without it")
            tried = resolve_in_copy(connection, as_of, trial)
            people = [
                compare_links(connection, name, 3) for name in ("account", "individual")
            ]
            told = _told(connection, number)
        say("profiles and insights")
        build_profiles(copy, as_of)
        with opener.writing("an undo plan") as connection:
            act_out(connection, copy, run=tried.run, as_of=as_of)
            corrections = _corrections(connection)
    return UndoOutlook(undone, people, tried.gates, corrections, told)


def _remember_sent(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        create or replace table what_if.sent as
        select activation, unified_individual_id, payload from activation.sent_state;
        create or replace table what_if.planned as
        select coalesce(max(sequence), 0) as last_sequence from activation.planned
        """
    )


def _corrections(connection: duckdb.DuckDBPyConnection) -> list[Correction]:
    rows = connection.execute(
        """
        select p.activation, p.operation, p.unified_individual_id, p.cause,
            sent.payload::varchar, p.payload::varchar, p.previous_individual_id
        from activation.planned as p
        left join what_if.sent as sent using (activation, unified_individual_id)
        where p.sequence > (select last_sequence from what_if.planned)
        order by p.activation, p.sequence
        """
    ).fetchall()
    return [
        Correction(
            name, operation, person, cause, _fields(operation, before, now), previous
        )
        for name, operation, person, cause, before, now, previous in rows
    ]


def _fields(operation: str, before: str | None, now: str) -> dict[str, tuple[Any, Any]]:
    """The fields that differ; of a removal those that go, of an addition all.

    An alias sends none: it says that two people are one.
    """
    if operation == "alias":
        return {}
    old = json.loads(before) if before and operation != "add" else {}
    new = {} if operation == "remove" else json.loads(now)
    return {
        name: (old.get(name), new.get(name))
        for name in {**old, **new}
        if operation != "update" or old.get(name) != new.get(name)
    }


def _told(connection: duckdb.DuckDBPyConnection, number: int) -> list[Told]:
    """Messages about the people it concerns, planned since the decision held."""
    rows = connection.execute(
        """
        select activation, unified_individual_id, planned_at from activation.planned
        where segment = $segment
            and unified_individual_id in (
                select old_id from moved_link where old_id <> new_id
            )
            and planned_run >= (
                select min(applied_run) from identity.decision
                where coalesce(given_with, decision) = (
                    select coalesce(given_with, decision) from identity.decision
                    where decision = $number
                )
            )
        order by sequence
        """,
        {"segment": SEGMENT, "number": number},
    ).fetchall()
    return [Told(*row) for row in rows]
