"""One look of a data action: what became true is planned, and remembered as seen.

The messages and the memory are written in one transaction, so a run killed before it
looks again, and one killed after it has planned; either way each edge is one message.
Messages then leave as activations' do, through ``activation.planned`` and the outbox.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass

import duckdb

from cdp_assets.activation.outbox import Outbox, last_sequence
from cdp_assets.data_actions.carrying import carry_over, last_move
from cdp_assets.data_actions.evaluation import find_arrivals, find_edges
from cdp_assets.data_actions.facts import ARRIVED
from cdp_assets.data_actions.messages import write_messages
from cdp_assets.data_actions.spec import OPERATION, DataActionSpec
from cdp_assets.warehouse import transaction

# What stands in the place of a segment in plan, outbox and receipts.
SEGMENT = "data_action"


@dataclass(frozen=True)
class ActionResult:
    """What a look found.

    ``members`` are the people of whom the condition is true; for events, those who met
    it now. ``cooling_down`` of the edges are not told of. ``taken_as_given`` says that
    the action is new or its condition another one, so that nothing is an edge.
    """

    members: int
    planned: int
    cooling_down: int
    looked_at: int
    taken_as_given: bool


def plan_action(
    connection: duckdb.DuckDBPyConnection,
    spec: DataActionSpec,
    outbox: Outbox,
    run: int,
    as_of: dt.datetime,
) -> ActionResult:
    """Look once; a second look at the same facts plans nothing.

    Args:
        connection: The warehouse, open for writing: nobody else writes meanwhile.
        spec: The action.
        outbox: Where earlier messages went; read, not written.
        run: The run that messages name as their cause.
        as_of: The instant of the look, and the messages' own time (UTC).
    """
    with outbox.connect() as copied:
        sequence = last_sequence(copied)
    definition = _definition(spec)
    begun = connection.execute(
        "select definition, link_seq from activation.action where action = ?",
        [spec.name],
    ).fetchone()
    is_given = spec.on_first_run == "hold" if begun is None else begun[0] != definition
    # Before the transaction: within one DuckDB takes tables just made for empty ones.
    move = last_move(connection)
    carry_over(connection, spec.name, begun[1] if begun else move)
    find = find_arrivals if spec.is_on_event else find_edges
    find(connection, spec, as_of, is_given=is_given)
    with transaction(connection):
        write_messages(connection, spec, as_of, sequence)
        _record(connection, spec, run, as_of)
        _remember_people(connection, spec, as_of)
        if spec.is_on_event:
            _remember_events(connection, spec, as_of)
        _begin(connection, spec.name, (definition, move), run, as_of)
    return _result(connection, spec, is_given)


def _definition(spec: DataActionSpec) -> str:
    return hashlib.sha256(f"{spec.trigger}\n{spec.when}".encode()).hexdigest()[:16]


def _record(
    connection: duckdb.DuckDBPyConnection,
    spec: DataActionSpec,
    run: int,
    as_of: dt.datetime,
) -> None:
    connection.execute(
        """
        insert into activation.planned (
            sequence, idempotency_key, activation, segment, unified_individual_id,
            operation, cause, payload, contact_point_type, contact_point_value,
            planned_run, planned_at
        )
        select sequence, idempotency_key, $action, $segment, unified_individual_id,
            $operation, cause, payload, type, value, $run, $as_of
        from action_message order by sequence
        """,
        {
            "action": spec.name,
            "segment": SEGMENT,
            "operation": OPERATION,
            "run": run,
            "as_of": as_of,
        },
    )


def _remember_people(
    connection: duckdb.DuckDBPyConnection, spec: DataActionSpec, as_of: dt.datetime
) -> None:
    """Rewrite the rows of people that differ; those of nobody go.

    An action on events looks at few people: of the others what was known stays.
    """
    columns = "unified_individual_id, is_true, edges, fired_at, kept"
    held = f"select {columns} from activation.action_state where action = $action"
    step = """
        select unified_individual_id, is_true and not $on_event as is_true,
            max(edges) as edges,
            max(if(is_fired, $as_of, fired_at)) as fired_at, any_value(kept) as kept
        from action_step group by all
        having is_true or max(edges) > 0 or any_value(kept) is not null
    """
    others = """
        union all by name
        select unified_individual_id, false as is_true, edges, fired_at, kept
        from action_before anti join action_step using (unified_individual_id)
    """
    connection.execute(
        f"""
        create or replace temp table action_next as
        select {columns} from ({step} {others if spec.is_on_event else ""})
        where is_true or edges > 0 or kept is not null
        """,
        {"as_of": as_of, "on_event": spec.is_on_event},
    )
    connection.execute(
        f"""
        delete from activation.action_state
        where action = $action and unified_individual_id in (
            select unified_individual_id from ({held} except from action_next)
        )
        """,
        {"action": spec.name},
    )
    connection.execute(
        f"""
        insert into activation.action_state
        select $action, * from (from action_next except {held})
        order by unified_individual_id
        """,
        {"action": spec.name},
    )


def _remember_events(
    connection: duckdb.DuckDBPyConnection, spec: DataActionSpec, as_of: dt.datetime
) -> None:
    connection.execute(
        "delete from activation.action_event where action = ? and happened_at <= ?",
        [spec.name, as_of - spec.max_age],
    )
    connection.execute(
        "insert into activation.action_event "
        f"select distinct ?, event_id, happened_at from {ARRIVED}",
        [spec.name],
    )


def _begin(
    connection: duckdb.DuckDBPyConnection,
    action: str,
    seen: tuple[str, int],
    run: int,
    as_of: dt.datetime,
) -> None:
    definition, link_seq = seen
    known = connection.execute(
        "select definition, link_seq from activation.action where action = ?", [action]
    ).fetchone()
    if known is None:
        connection.execute(
            "insert into activation.action values (?, ?, ?, ?, ?)",
            [action, definition, link_seq, as_of, run],
        )
    elif known != seen:
        connection.execute(
            "update activation.action set definition = ?, link_seq = ? "
            "where action = ?",
            [definition, link_seq, action],
        )


def _result(
    connection: duckdb.DuckDBPyConnection, spec: DataActionSpec, is_given: bool
) -> ActionResult:
    source = ARRIVED if spec.is_on_event else "action_now"
    row = connection.execute(
        f"""
        select count(*) filter (is_true),
            (select count(*) from action_message),
            count(*) filter (is_edge and not is_fired),
            (select count(*) from {source})
        from action_step
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate yields one row
    members, planned, cooling_down, looked_at = row
    for name in ("before", "now", "event_now", "step", "next", "message"):
        connection.execute(f"drop table if exists action_{name}")
    return ActionResult(members, planned, cooling_down, looked_at, is_given)
