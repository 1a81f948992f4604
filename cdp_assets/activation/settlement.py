"""What became of planned changes: outcomes from the outbox into the warehouse.

Planning compares what it wants with ``activation.sent_state``. Whether a change was
delivered, withheld or given up is known to the outbox alone; it is read back here, by
idempotency key, before planning and after delivery.
"""

import sqlite3

import duckdb

from cdp_assets.activation.outbox import Outbox, transaction

# A dead letter may be replayed or dropped, so it is looked up again each time.
_OPEN = ("pending", "dead")


def settle(connection: duckdb.DuckDBPyConnection, outbox: Outbox) -> int:
    """Take over the outcomes of changes that were still open.

    Must run inside a transaction of the warehouse if it is to be all or nothing.

    Returns:
        How many rows of ``activation.sent_state`` changed.
    """
    keys = connection.execute(
        "select idempotency_key from activation.sent_state "
        "where list_contains(?, outcome)",
        [list(_OPEN)],
    ).fetchall()
    if not keys:
        return 0
    with outbox.connect() as found:
        rows = _outcomes(found, keys)
    if not rows:
        return 0
    _register(connection, rows)
    row = connection.execute(
        """
        update activation.sent_state as s
        set outcome = settled.outcome,
            consent_record = settled.consent_record,
            is_held = coalesce(settled.is_held, s.is_held)
        from settled
        where s.idempotency_key = settled.idempotency_key and (
            s.outcome <> settled.outcome
            or s.is_held <> coalesce(settled.is_held, s.is_held)
        )
        """
    ).fetchone()
    connection.execute(
        """
        -- Once the destination forgot a person, so do we.
        update activation.sent_state
        set payload = null, contact_point_type = null, contact_point_value = null
        where payload is not null and (
            (operation in ('remove', 'alias') and outcome = 'delivered')
            -- What is withheld of a removal is somebody else's, or was never sent.
            or (operation = 'remove' and outcome = 'withheld')
        )
        """
    )
    connection.unregister("settled")
    return int(row[0]) if row else 0


def _outcomes(
    outbox: sqlite3.Connection, keys: list[tuple[str]]
) -> list[tuple[str, str, str | None, int | None]]:
    """Per key its outcome, its consent row, and whether the person is held.

    Held is decided by the last change that may have been acted on: one that was
    delivered, or an add or update given up, or withheld, after attempts that nobody can
    vouch for. A
    key of an alias stands with the one who is another now, and they are held until it
    is delivered.
    """
    with transaction(outbox):
        outbox.execute("create temp table wanted (idempotency_key text primary key)")
        outbox.executemany("insert into wanted values (?)", keys)
        rows = outbox.execute(
            """
            select o.idempotency_key,
                case when o.state = 'delivering' then 'pending' else o.state end,
                o.consent_record,
                (
                    select holds from (
                        select sent.sequence, sent.operation <> 'remove' as holds
                        from outbox as sent
                        where sent.activation = o.activation
                            and sent.unified_individual_id = o.person
                            and (sent.state = 'delivered' or (
                                (sent.state in ('dead', 'dropped')
                                    or (sent.state = 'withheld' and sent.attempts > 0))
                                and sent.operation <> 'remove'
                            ))
                        union all
                        select sent.sequence, 0 from outbox as sent
                        where sent.activation = o.activation
                            and sent.previous_individual_id = o.person
                            and sent.state = 'delivered'
                    )
                    order by sequence desc limit 1
                )
            from wanted join (
                select *, coalesce(previous_individual_id, unified_individual_id)
                    as person
                from outbox
            ) as o using (idempotency_key)
            """
        ).fetchall()
        outbox.execute("drop table wanted")
    return rows


def _register(
    connection: duckdb.DuckDBPyConnection,
    rows: list[tuple[str, str, str | None, int | None]],
) -> None:
    import pyarrow as pa

    keys, outcomes, consents, held = zip(*rows, strict=True)
    connection.register(
        "settled",
        pa.table(
            {
                "idempotency_key": pa.array(keys, pa.string()),
                "outcome": pa.array(outcomes, pa.string()),
                "consent_record": pa.array(consents, pa.string()),
                "is_held": pa.array(
                    [None if value is None else bool(value) for value in held],
                    pa.bool_(),
                ),
            }
        ),
    )
