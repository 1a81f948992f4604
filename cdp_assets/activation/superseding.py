"""Changes that a later one has overtaken while the destination could not be reached."""

import datetime as dt
import json
import sqlite3
from collections.abc import Sequence

from cdp_assets.activation.identifiers import SUPERSEDED, named
from cdp_assets.activation.outbox import transaction
from cdp_assets.activation.receipting import Ending, finish


def supersede(
    connection: sqlite3.Connection,
    activation: str,
    destination: str,
    now: dt.datetime,
    matched_by: Sequence[str],
) -> int:
    """End changes that a later one of the same person has overtaken before any try.

    After an outage a message from then would be wrong today: the cart that lay
    abandoned is bought by now. A removal is overtaken only by what concerns the same
    contact point and the same fields of ``matched_by``: nothing else takes an address
    away that the destination holds.

    Returns:
        How many changes ended.
    """
    with transaction(connection):
        before = named("o.payload", "field.value")
        after = named("later.payload", "field.value")
        rows = connection.execute(
            f"""
            select o.sequence, max(later.sequence) from outbox as o
            join outbox as later
                on later.activation = o.activation
                and later.unified_individual_id = o.unified_individual_id
                and later.sequence > o.sequence and later.state = 'pending'
                and later.operation <> 'alias'
            where o.operation <> 'alias' and o.activation = ? and o.state = 'pending'
                and o.attempts = 0 and o.batch is null
                -- What a data action tells is something that happened, and stays so.
                and o.cause not in ('became_true', 'event')
                and (o.operation <> 'remove' or (
                    later.contact_point_value is o.contact_point_value
                    and not exists (
                        select 1 from json_each(?) as field
                        where {before} is not null and {before} is not {after}
                    )
                ))
            group by o.sequence
            """,
            [activation, json.dumps(list(matched_by))],
        ).fetchall()
        endings = [
            Ending(sequence, "withheld", f"{SUPERSEDED} {later}")
            for sequence, later in rows
        ]
        finish(connection, endings, destination, now)
    return len(rows)
