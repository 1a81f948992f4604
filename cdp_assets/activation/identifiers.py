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
from collections.abc import Mapping, Sequence

# How the reason of a change begins that a later one has overtaken before any try.
SUPERSEDED = "superseded by change"
# For a query over "outbox as o". Two adds, or two removals, may go in any order.
NO_EARLIER_WITH_ITS_IDENTIFIER = """not exists (
    select 1 from waiting_identifier as mine
    cross join waiting_identifier as earlier
        on earlier.activation = mine.activation and earlier.field = mine.field
        and earlier.value = mine.value and earlier.is_removal = 1 - mine.is_removal
        and earlier.sequence < mine.sequence
    where mine.sequence = o.sequence
)"""


def named(payload: str, field: str) -> str:
    """SQL: what a payload says in a field, as JSON writes it; null where it is empty.

    As written, because numbers of more digits than an integer has would be rounded.
    """
    return f"""nullif(nullif({payload} -> ('$.' || {field}), 'null'), '""')"""


# A removal sends what its person was sent last, which need not be what it was planned
# with. So it waits under all that they may stand under.
_LET_WAIT = f"""
    insert or ignore into waiting_identifier
    with concerned as (
        select o.*, o.operation = 'remove' as is_removal, coalesce((
                select max(gone.sequence) from outbox as gone
                where gone.activation = o.activation
                    and gone.unified_individual_id = o.unified_individual_id
                    and gone.sequence < o.sequence and gone.operation = 'remove'
                    and gone.state = 'delivered'
            ), 0) as gone
        from outbox as o
        where o.state in ('pending', 'delivering')
            and +o.activation in (select activation from identifying_field)
            and {{chosen}}
    )
    select o.activation, each.field, {named("told.payload", "each.field")} as value,
        o.is_removal, o.sequence
    from concerned as o
    join outbox as told on told.activation = o.activation
        and told.unified_individual_id = o.unified_individual_id
        and told.sequence <= o.sequence
        and (told.sequence = o.sequence or (
            o.is_removal and told.sequence > o.gone and told.operation <> 'remove'))
    join identifying_field as each on each.activation = o.activation
    where value is not null
"""
# There is what was sent since the last change that told all: one that was delivered, or
# a removal, even one that waits still, but for one that another change overtook. Of one
# that was given up or withheld after a try nobody can vouch that it did not arrive.
_HOLD = f"""
    insert into held_identifier
    with person as ({{people}}),
    concerned as (
        select unified_individual_id, coalesce((
                select sequence - (operation <> 'remove') from outbox as told
                where told.activation = ?1
                    and told.unified_individual_id = person.unified_individual_id
                    and iif(operation = 'remove',
                        state <> 'withheld' or reason not like '{SUPERSEDED} %',
                        state = 'delivered')
                order by sequence desc limit 1
            ), 0) as told
        from person
    )
    select o.activation, each.field, {named("o.payload", "each.field")} as value,
        o.unified_individual_id, o.sequence
    from concerned cross join outbox as o on o.activation = ?1
        and o.unified_individual_id = concerned.unified_individual_id
        and o.sequence > concerned.told
    cross join identifying_field as each on each.activation = o.activation
    where o.operation <> 'remove' and value is not null and (o.state = 'delivered'
        or (o.attempts > 0 and o.state in ('dead', 'dropped', 'withheld')))
"""


def register_all(
    connection: sqlite3.Connection, fields: Mapping[str, Sequence[str]]
) -> None:
    """``register`` each activation; the caller holds the transaction."""
    for activation, some in fields.items():
        register(connection, activation, some)


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
    everybody = (
        "select distinct unified_individual_id from outbox where activation = ?1"
    )
    connection.execute(_HOLD.format(people=everybody), [activation])


def begin_waiting(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Changes wait, for the first time or again; the caller holds the transaction."""
    among = "o.sequence between ? and ?"
    connection.execute(_LET_WAIT.format(chosen=among), [first, last])
    _hold(connection, among, [first, last])


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
    value = named("?2", "each.field")
    rows = connection.execute(
        f"""
        select field, exists (
                select 1 from held_identifier as held
                where held.activation = o.activation and held.field = each.field
                    and held.value = {value}
                    and (held.unified_individual_id <> o.unified_individual_id
                        or held.sequence > o.sequence)
            )
        from outbox as o join identifying_field as each using (activation)
        where o.sequence = ?1 and {value} is not null
        """,
        [sequence, payload],
    ).fetchall()
    return {field: bool(known) for field, known in rows}


def opposite_is_on_its_way(connection: sqlite3.Connection, sequence: int) -> bool:
    """Is an add under way that names what this removal would, or the reverse.

    Asked of a change that waits again: it is older than what was claimed meanwhile.
    """
    (found,) = connection.execute(
        """
        select exists (
            select 1 from outbox as o
            cross join outbox as other on other.activation = o.activation
                and other.state = 'delivering'
            cross join waiting_identifier as theirs on theirs.sequence = other.sequence
            cross join waiting_identifier as mine on mine.sequence = o.sequence
                and mine.field = theirs.field and mine.value = theirs.value
                and mine.is_removal <> theirs.is_removal
            where o.sequence = ?
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
    # By number and not by activation, whose whole history would be read.
    for activation, person in connection.execute(
        f"""
        select distinct o.activation, o.unified_individual_id from outbox as o
        where +o.activation in (select activation from identifying_field) and {chosen}
        """,
        values,
    ):
        people.setdefault(activation, []).append(person)
    for activation, some in people.items():
        parameters = [activation, json.dumps(some)]
        connection.execute(
            """
            delete from held_identifier where activation = ?1
                and unified_individual_id in (select value from json_each(?2))
            """,
            parameters,
        )
        these = "select value as unified_individual_id from json_each(?2)"
        connection.execute(_HOLD.format(people=these), parameters)
