"""What an operator stopped: one activation, or all. Changes go on being planned.

A pause holds from the next request on, in every process, until it is taken back.
"""

import datetime as dt
import sqlite3

from cdp_assets.activation.outbox import as_text

EVERYTHING = "*"


def pause(
    connection: sqlite3.Connection, now: dt.datetime, activation: str = EVERYTHING
) -> None:
    """Stop an activation's deliveries, or all; a second time changes nothing."""
    connection.execute(
        "insert or ignore into pause values (?, ?)", [activation, as_text(now)]
    )


def resume(connection: sqlite3.Connection, activation: str = EVERYTHING) -> bool:
    """Take a pause back; False if there was none."""
    return bool(
        connection.execute(
            "delete from pause where activation = ?", [activation]
        ).rowcount
    )


def paused(connection: sqlite3.Connection, activation: str) -> str | None:
    """Why an activation is not delivered, in words; None if nobody stopped it."""
    row = connection.execute(
        "select activation, since from pause where activation in (?, ?) order by 1",
        [activation, EVERYTHING],
    ).fetchone()
    if row is None:
        return None
    name = "" if row[0] == EVERYTHING else f" {activation}"
    return f"paused since {row[1][:16]}: cdp outbox resume{name}"
