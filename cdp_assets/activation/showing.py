"""One change of the outbox as an operator sees it, without personal data unless asked.

What is shown is named, so a column that comes later is hidden until somebody decides.
"""

import json
import sqlite3
from typing import Any

from cdp_assets.activation.outbox import Outbox, last_sequence
from cdp_assets.errors import OperatorError

_SHOWN = """
    sequence, idempotency_key, activation, segment, unified_individual_id,
    previous_individual_id, operation, cause, contact_point_type,
    previous_contact_point_type, planned_run, planned_at, state, failures,
    next_attempt_at, claimed_at, batch, consent_record, reason, finished_at
"""
_PERSONAL = "contact_point_value, previous_contact_point_value, payload"


class NoSuchChangeError(OperatorError, LookupError):
    """A number that no change in the outbox has."""


def show(outbox: Outbox, sequence: int, *, payload: bool = False) -> dict[str, Any]:
    """One change with its attempts and receipts.

    Args:
        outbox: Where it is.
        sequence: Its number.
        payload: Also what was sent and the contact points: personal data.

    Raises:
        NoSuchChangeError: There is no such change.
    """
    columns = f"{_SHOWN}, {_PERSONAL}" if payload else _SHOWN
    with outbox.connect() as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(
            f"select {columns} from outbox where sequence = ?", [sequence]
        ).fetchone()
        if found is None:
            raise no_such_change(connection, sequence)
        shown = dict(found)
        if payload:
            shown["payload"] = json.loads(shown["payload"])
        for table in ("attempt", "receipt"):
            shown[f"{table}s"] = [
                dict(row)
                for row in connection.execute(
                    f"select * from {table} where sequence = ? order by 1, 2",
                    [sequence],
                )
            ]
    return shown


def no_such_change(connection: sqlite3.Connection, sequence: int) -> NoSuchChangeError:
    """The error that names the number, and the last one there is."""
    last = last_sequence(connection)
    there = f"the last is {last}" if last else "it is empty"
    return NoSuchChangeError(f"the outbox has no change {sequence}; {there}")
