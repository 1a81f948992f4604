"""Plans that are too large to leave without being asked for.

A cap is judged on the plan as a whole, before any of it is kept. A plan above one is
held: nothing of it is planned but removals for want of consent, because whoever
withdrew it must not wait for an operator. The next run looks again; it is over when a
plan fits, or when somebody releases it.
"""

import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.segments.evaluation import in_new_period
from cdp_assets.segments.windows import length

# What a released plan may have grown by since it was held: facts move in the meantime.
GROWTH = 1.1
# Leaves whatever is held.
_FREE = "consent_withdrawn"


@dataclass(frozen=True)
class HeldPlan:
    """A plan that waits for its release."""

    activation: str
    held_at: dt.datetime
    adds: int
    updates: int
    # With aliases: both take somebody out of what the destination holds.
    removes: int
    held_people: int
    """People the destination may hold, of which the share is counted."""
    reason: str

    @property
    def rows(self) -> int:
        """All changes that wait."""
        return self.adds + self.updates + self.removes


def held_plans(connection: duckdb.DuckDBPyConnection) -> list[HeldPlan]:
    """Every plan that is held; reading the warehouse is enough."""
    rows = connection.execute(
        """
        select activation, held_at, adds, updates, removes, held_people, reason
        from activation.held_plan order by activation
        """
    ).fetchall()
    return [HeldPlan(*row) for row in rows]


def judge(
    connection: duckdb.DuckDBPyConnection, spec: ActivationSpec, as_of: dt.datetime
) -> HeldPlan | None:
    """The plan in ``activation_change`` if it is above a cap; else None."""
    row = connection.execute(
        f"""
        -- Who is removed and added under another address is one change, an update.
        select count(*) filter (operation = 'add' and steps = 1),
            count(*) filter (operation = 'update' or step = 2),
            count(*) filter (operation in ('remove', 'alias') and steps = 1),
            count(*) filter (cause = 'refreshed' and step = steps),
            (select count(*) from activation_change where may_be_held and step = 1)
        from activation_change where operation is not null and cause <> '{_FREE}'
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate yields one row
    adds, updates, removes, again, people = row
    rows = adds + updates + removes
    caps = spec.caps
    reason = None
    if caps.max_rows is not None and rows > caps.max_rows:
        reason = f"{rows:,} changes, above max_rows {caps.max_rows:,}"
    # Of nobody there is no share: a first plan is judged by max_rows alone.
    elif caps.max_share_changed is not None and people:
        share = (rows - again) / people
        if share > caps.max_share_changed:
            reason = (
                f"{rows - again:,} changes are {share:.1%} of {people:,} people, above "
                f"max_share_changed {caps.max_share_changed:.1%}"
            )
    if reason is None:
        return None
    return HeldPlan(spec.name, as_of, adds, updates, removes, people, reason)


def hold(connection: duckdb.DuckDBPyConnection, plan: HeldPlan, run: int) -> None:
    """Keep that the plan is held, and take out of it what must wait."""
    forget(connection, plan.activation)
    connection.execute(
        "insert into activation.held_plan values (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            plan.activation,
            run,
            plan.held_at,
            plan.adds,
            plan.updates,
            plan.removes,
            plan.held_people,
            plan.reason,
        ],
    )
    connection.execute(
        f"delete from activation_change where cause is distinct from '{_FREE}'"
    )


def forget(connection: duckdb.DuckDBPyConnection, activation: str) -> None:
    """The activation has no held plan any more."""
    connection.execute(
        "delete from activation.held_plan where activation = ?", [activation]
    )


def is_full(
    connection: duckdb.DuckDBPyConnection, spec: ActivationSpec, as_of: dt.datetime
) -> bool:
    """Whether everybody is to be sent again by a plan at ``as_of`` (UTC)."""
    if spec.mode == "delta":
        return False
    row = connection.execute(
        "select as_of from activation.full_send where activation = ?", [spec.name]
    ).fetchone()
    return row is None or in_new_period(length(spec.full_every), row[0], as_of)


def note_full(
    connection: duckdb.DuckDBPyConnection,
    spec: ActivationSpec,
    run: int,
    as_of: dt.datetime,
) -> None:
    """Keep that ``run`` planned to send everybody."""
    connection.execute(
        "delete from activation.full_send where activation = ?", [spec.name]
    )
    connection.execute(
        "insert into activation.full_send values (?, ?, ?)", [spec.name, run, as_of]
    )
