"""Which changes each activation owes its destination: only what differs is planned.

What the segment's members should look like at the destination is compared with
``activation.sent_state``, and the difference is written to ``activation.planned`` in
the same transaction, so a killed run plans the same changes again, under the same
keys. Of a merge the retired id is no member any more and is removed, the living one is
added or updated; a destination that has a word for it is told that the one is the other
now (alias) in place of the removal.

When a change is planned:

- a person entered: add, even without consent, so that a receipt says why nothing left;
- the payload or the contact point changed: update (destinations take both as upserts),
  but where the destination knows people by what changed: remove, then add;
- a person left: remove, if the destination may hold them because of us;
- a person was merged into a member: alias, if the destination has it and holds them,
  and consent stands for both; then the member as an update. An alias that was not told,
  and one that waits while the merge is undone, is a removal after all;
- consent was withdrawn, or no contact point is left: remove, if it may hold them; an
  add follows in the same plan if another contact point of theirs may be sent to;
- consent was given, after a change was withheld or removed for the lack of it: add.

A change that was withheld and still would be is not planned again. In mode ``full``
everybody is sent again once in each period, with cause ``refreshed``.
"""

import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.activation import caps
from cdp_assets.activation.comparison import fill_changes
from cdp_assets.activation.contact import fill_contacts
from cdp_assets.activation.desired import fill_desired
from cdp_assets.activation.outbox import Outbox, last_sequence
from cdp_assets.activation.settlement import settle
from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.governance.answers import remember_opt_outs
from cdp_assets.warehouse import transaction


@dataclass(frozen=True)
class PlanResult:
    """What was planned, and how many members stay as they are."""

    members: int
    adds: int
    updates: int
    removes: int
    aliases: int
    # Members who would be sent to if they consented, or had a contact point.
    without_consent: int
    # Changes that wait because they are above a cap, and which one.
    held: int = 0
    held_because: str = ""

    @property
    def planned(self) -> int:
        """All changes."""
        return self.adds + self.updates + self.removes + self.aliases


def plan(
    connection: duckdb.DuckDBPyConnection,
    spec: ActivationSpec,
    outbox: Outbox,
    run: int,
    as_of: dt.datetime,
    *,
    most: int | None = None,
) -> PlanResult:
    """Plan the changes of one activation; a second call with nothing new plans none.

    Args:
        connection: The warehouse, open for writing.
        spec: The activation.
        outbox: Where earlier changes went; read, not written.
        run: The run that planned changes name as their cause.
        as_of: The instant consent is looked at, and the changes' own time (UTC).
        most: Changes that may leave whatever the caps say, because somebody said so.
    """
    with transaction(connection):
        is_full = prepare(connection, spec, outbox, as_of)
        remember_opt_outs(connection)
        too_large = caps.judge(connection, spec, as_of)
        members, without_consent = _counts(connection, _MEMBERS)
        if too_large is not None and (most is None or too_large.rows > most):
            caps.hold(connection, too_large, run)
        else:
            too_large = None
            caps.forget(connection, spec.name)
            if is_full:
                caps.note_full(connection, spec, run, as_of)
        _record(connection, spec, run, as_of)
        adds, updates, removes, aliases = _counts(connection, _OPERATIONS)
        for name in ("desired", "consent", "contact", "change"):
            connection.execute(f"drop table activation_{name}")
    return PlanResult(
        members,
        adds,
        updates,
        removes,
        aliases,
        without_consent,
        too_large.rows if too_large else 0,
        too_large.reason if too_large else "",
    )


def prepare(
    connection: duckdb.DuckDBPyConnection,
    spec: ActivationSpec,
    outbox: Outbox,
    as_of: dt.datetime,
) -> bool:
    """Fill ``activation_change`` and what it is made from, inside a transaction.

    Returns:
        Whether everybody is sent again.
    """
    with outbox.connect() as copied:
        sequence = last_sequence(copied)
    settle(connection, outbox)
    fill_contacts(connection, spec, as_of)
    fill_desired(connection, spec)
    is_full = caps.is_full(connection, spec, as_of)
    fill_changes(connection, spec, sequence, is_full=is_full)
    return is_full


def _record(
    connection: duckdb.DuckDBPyConnection,
    spec: ActivationSpec,
    run: int,
    as_of: dt.datetime,
) -> None:
    """Write the changes to the plan, and what they make of the sent state."""
    named = {"activation": spec.name}
    connection.execute(
        """
        insert into activation.planned
        with told as (
            -- An alias is a change of the living person, who is reached as they are.
            select *, operation = 'alias' as is_alias,
                if(is_alias, reached, {'type': content.type, 'value': content.value})
                    as point
            from activation_change where operation is not null
        )
        select sequence, 'msg_' || digest[:32], $activation, $segment,
            if(is_alias, winner, unified_individual_id), operation, cause,
            content.payload, point.type, point.value, $run, $as_of,
            if(is_alias, unified_individual_id, null), if(is_alias, content.type, null),
            if(is_alias, content.value, null)
        from told order by sequence
        """,
        named | {"segment": spec.segment, "run": run, "as_of": as_of},
    )
    # Whoever left without ever having been held starts afresh on coming back.
    connection.execute(
        """
        update activation.sent_state set operation = null, cause = 'left'
        where activation = $activation and unified_individual_id in (
            select unified_individual_id from activation_change
            where cause = 'left' and operation is null
        )
        """,
        named,
    )
    connection.execute(
        """
        delete from activation.sent_state
        where activation = $activation and unified_individual_id in (
            select unified_individual_id from activation_change
            where operation is not null
        )
        """,
        named,
    )
    connection.execute(
        """
        insert into activation.sent_state
        select $activation, unified_individual_id, person_sequence + step, operation,
            cause, content.payload, content.payload_hash, content.type, content.value,
            sequence, 'msg_' || digest[:32], 'pending', null, is_held,
            if(operation = 'alias', winner, null)
        from activation_change where operation is not null
        qualify step = max(step) over (partition by unified_individual_id)
        """,
        named,
    )


_MEMBERS = (
    "count(*) filter (is_member and step = 1), "
    "count(*) filter (is_member and not allowed)"
)
_OPERATIONS = ", ".join(
    f"count(*) filter (operation = '{name}')"
    for name in ("add", "update", "remove", "alias")
)


def _counts(connection: duckdb.DuckDBPyConnection, columns: str) -> tuple[int, ...]:
    row = connection.execute(f"select {columns} from activation_change").fetchone()
    return tuple(row or ())
