"""A plan tried and taken back: what would be sent, row by row, and what would not.

The rehearsal is the plan itself in a transaction that is rolled back, so it cannot say
anything else than the plan would. Values that come from the profile or a contact point
are personal; they are masked unless somebody asks for them.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import duckdb

from cdp_assets.activation import caps
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.planning import prepare
from cdp_assets.activation.spec import CONTACT, ActivationSpec
from cdp_assets.segments.expression import read_expression
from cdp_assets.segments.namespace import PROFILE

MASK = "***"


@dataclass(frozen=True)
class Field:
    """A field of one change: what the destination has, and what it would get."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Row:
    """One change of one person."""

    operation: str
    unified_individual_id: str
    cause: str
    fields: tuple[Field, ...]
    previous_individual_id: str | None = None
    """Of an alias: whom the destination knows so far."""


@dataclass(frozen=True)
class Rehearsal:
    """What a plan would be."""

    members: int
    counts: dict[str, int]
    """Changes per operation."""
    withheld: dict[str, int]
    """Members to whom nothing may be sent, per reason."""
    held_because: str
    """The cap it is above; empty where it is above none."""
    rows: list[Row]
    """The first changes, in the order they would be sent."""


def rehearse(
    connection: duckdb.DuckDBPyConnection,
    spec: ActivationSpec,
    outbox: Outbox,
    as_of: dt.datetime,
    *,
    limit: int = 20,
    show_values: bool = False,
) -> Rehearsal:
    """Plan, look, and take it back; neither the warehouse nor the outbox changes.

    Args:
        connection: The warehouse, open for writing.
        spec: The activation.
        outbox: Where earlier changes went; read.
        as_of: The instant consent is looked at (UTC).
        limit: How many changes are shown one by one.
        show_values: Whether personal values are shown.
    """
    connection.begin()
    try:
        prepare(connection, spec, outbox, as_of)
        too_large = caps.judge(connection, spec, as_of)
        counts = connection.execute(
            "select operation, count(*) from activation_change "
            "where operation is not null group by 1 order by 1"
        ).fetchall()
        (members,) = connection.execute(
            "select count(*) from activation_change where is_member and step = 1"
        ).fetchall()[0]
        return Rehearsal(
            members,
            dict(counts),
            _withheld(connection),
            too_large.reason if too_large else "",
            _rows(connection, limit, frozenset() if show_values else personal(spec)),
        )
    finally:
        connection.rollback()


def personal(spec: ActivationSpec) -> frozenset[str]:
    """The fields of the mapping that hold what the profile or a contact point says."""
    return frozenset(
        name
        for name, sql in spec.mapping.items()
        if read_expression(sql).aliases & {PROFILE, CONTACT}
    )


def _withheld(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    rows = connection.execute(
        """
        select if(d.contact_point_value is null, 'no usable contact point', c.reason)
                as why, count(*)
        from activation_desired as d
        left join activation_consent as c
            using (contact_point_type, contact_point_value)
        where not coalesce(c.allowed, false)
        group by why order by count(*) desc, why
        """
    ).fetchall()
    return dict(rows)


def _rows(
    connection: duckdb.DuckDBPyConnection, limit: int, masked: frozenset[str]
) -> list[Row]:
    # Beside an add or a remove there is nothing to compare with.
    found = connection.execute(
        """
        select operation,
            if(operation = 'alias', winner, unified_individual_id), cause,
            if(operation in ('add', 'alias'), null, last.payload)::varchar,
            if(operation in ('remove', 'alias'), null, desired.payload)::varchar,
            if(operation = 'alias', unified_individual_id, null)
        from activation_change where operation is not null order by sequence limit ?
        """,
        [limit],
    ).fetchall()
    return [
        Row(operation, person, cause, _fields(old, new, masked), previous)
        for operation, person, cause, old, new, previous in found
    ]


def _fields(
    old: str | None, new: str | None, masked: frozenset[str]
) -> tuple[Field, ...]:
    before, after = json.loads(old or "{}"), json.loads(new or "{}")

    def shown(name: str, value: Any) -> Any:
        return MASK if name in masked and value is not None else value

    return tuple(
        Field(name, shown(name, before.get(name)), shown(name, after.get(name)))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    )
