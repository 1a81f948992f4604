"""What destinations know people by that do not know them by our id.

An audience is told an e-mail address or a phone number, and forgets people by them.
Such an identifier passes from one person to another, and two may have it at once. So a
removal and an add that name the same leave in their order, whosever they are, and a
removal does not name what somebody else, or a later change, put there.

The tables follow from the outbox: ``register`` makes them, and whoever lets a change
wait or ends one keeps them up.
"""

import json
import sqlite3
from collections.abc import Sequence

# For a query over "outbox as o". Two adds, or two removals, may go in any order.
NO_EARLIER_WITH_ITS_IDENTIFIER = """not exists (
    select 1 from waiting_identifier as mine
    cross join waiting_identifier as earlier
        on earlier.activation = mine.activation and earlier.field = mine.field
        and earlier.value = mine.value and earlier.is_removal = 1 - mine.is_removal
        and earlier.sequence < mine.sequence
    where mine.sequence = o.sequence
)"""

_LET_WAIT = """
    insert into waiting_identifier
    select o.activation, named.field, json_extract(o.payload, '$.' || named.field),
        o.operation = 'remove', o.sequence
    from outbox as o join identifying_field as named using (activation)
    where o.state in ('pending', 'delivering')
        and json_extract(o.payload, '$.' || named.field) is not null
        and {chosen}
"""
# There is what was sent since the last change that told all: one that was delivered, or
# a removal, even one that waits still. Of one that was given up nobody can vouch that
# it did not arrive.
_HOLD = """
    insert into held_identifier
    with concerned as (
        select *, max(case operation when 'remove' then sequence
                else iif(state = 'delivered', sequence - 1, 0) end)
                over (partition by unified_individual_id) as told
        from outbox as o where o.activation = ?1 and {chosen}
    )
    select o.activation, named.field, json_extract(o.payload, '$.' || named.field),
        o.unified_individual_id, o.sequence
    from concerned as o join identifying_field as named using (activation)
    where o.sequence > o.told and o.operation <> 'remove' and (o.state = 'delivered'
            or (o.attempts > 0 and o.state in ('dead', 'dropped', 'withheld')))
        and json_extract(o.payload, '$.' || named.field) is not null
"""


def register(
    connection: sqlite3.Connection, activation: str, fields: Sequence[str]
) -> None:
    """Say by which fields a destination knows people; the caller holds the transaction.

    Where they are others than before, what waits and who is there is found anew.
    """
    before = connection.execute(
        "select field from identifying_field where activation = ?", [activation]
    ).fetchall()
    if {field for (field,) in before} == set(fields):
        return
    for table in ("identifying_field", "waiting_identifier", "held_identifier"):
        connection.execute(f"delete from {table} where activation = ?", [activation])
    connection.executemany(
        "insert into identifying_field values (?, ?)",
        [(activation, field) for field in fields],
    )
    connection.execute(_LET_WAIT.format(chosen="o.activation = ?"), [activation])
    connection.execute(_HOLD.format(chosen="true"), [activation])


def begin_waiting(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Changes wait, for the first time or again; the caller holds the transaction."""
    connection.execute(
        _LET_WAIT.format(chosen="o.sequence between ? and ?"), [first, last]
    )
    _hold(connection, "o.sequence between ? and ?", [first, last])


def end_waiting(connection: sqlite3.Connection, sequences: Sequence[int]) -> None:
    """Changes have ended; the caller holds the transaction."""
    ended = "o.sequence in (select value from json_each(?))"
    numbers = [json.dumps(list(sequences))]
    connection.execute(f"delete from waiting_identifier as o where {ended}", numbers)
    _hold(connection, ended, numbers)


def others_know(
    connection: sqlite3.Connection, sequence: int, payload: str
) -> dict[str, bool]:
    """Of a removal, per field that identifies: does somebody else stand under it now.

    Or its own person, by a later change.

    Args:
        connection: The outbox.
        sequence: The removal.
        payload: What it names.
    """
    rows = connection.execute(
        """
        select field, exists (
                select 1 from held_identifier as held
                where held.activation = o.activation and held.field = named.field
                    and held.value = json_extract(?2, '$.' || named.field)
                    and (held.unified_individual_id <> o.unified_individual_id
                        or held.sequence > o.sequence)
            )
        from outbox as o join identifying_field as named using (activation)
        where o.sequence = ?1 and json_extract(?2, '$.' || named.field) is not null
        """,
        [sequence, payload],
    ).fetchall()
    return {field: bool(known) for field, known in rows}


def is_on_its_way(connection: sqlite3.Connection, sequence: int) -> bool:
    """Whether a later add that names what this removal names is being delivered now."""
    (found,) = connection.execute(
        """
        select exists (
            select 1 from outbox as o join identifying_field as named using (activation)
            join waiting_identifier as later
                on later.activation = o.activation and later.field = named.field
                and later.value = json_extract(o.payload, '$.' || named.field)
                and later.is_removal = 0 and later.sequence > o.sequence
            join outbox as other on other.sequence = later.sequence
            where o.sequence = ? and other.state = 'delivering'
        )
        """,
        [sequence],
    ).fetchone()
    return bool(found)


def _hold(
    connection: sqlite3.Connection, chosen: str, values: Sequence[object]
) -> None:
    """Find anew who is there, of the people whom these changes concern."""
    people: dict[str, list[str]] = {}
    for activation, person in connection.execute(
        f"""
        select distinct o.activation, o.unified_individual_id from outbox as o
        where o.activation in (select activation from identifying_field) and {chosen}
        """,
        values,
    ):
        people.setdefault(activation, []).append(person)
    for activation, some in people.items():
        concerned = "o.unified_individual_id in (select value from json_each(?2))"
        parameters = [activation, json.dumps(some)]
        connection.execute(
            f"delete from held_identifier as o where o.activation = ?1 and {concerned}",
            parameters,
        )
        connection.execute(_HOLD.format(chosen=concerned), parameters)
