"""What a message says: the payload of each person or event that is to be told of."""

import datetime as dt
from collections.abc import Collection

import duckdb

from cdp_assets.activation.desired import is_nested, note_fields
from cdp_assets.activation.spec import CONTACT
from cdp_assets.data_actions.facts import needs_time, people
from cdp_assets.data_actions.sources import EVENT
from cdp_assets.data_actions.spec import PREVIOUS, DataActionSpec
from cdp_assets.declarations import quoted
from cdp_assets.segments.expression import read_expression


def write_messages(
    connection: duckdb.DuckDBPyConnection,
    spec: DataActionSpec,
    as_of: dt.datetime,
    sequence: int,
) -> None:
    """Fill ``action_message`` with a row per message, its key and its place in line.

    The key is action, person and edge, or action and event: however often it is
    planned, it is one message.

    Args:
        connection: The warehouse, with action_step.
        spec: The action.
        as_of: The instant that ``run.as_of`` means (UTC).
        sequence: The last sequence that the outbox has; new ones follow it.
    """
    fields = {name: read_expression(sql) for name, sql in spec.payload.items()}
    aliases = set().union(*(each.aliases for each in fields.values()))
    if spec.is_on_event:
        aliases |= {EVENT}
    if spec.contact_point is not None:
        aliases |= {CONTACT}
    columns = ", ".join(f"{e.enclosed} as {quoted(n)}" for n, e in fields.items())
    point = spec.contact_point
    value = f"{CONTACT}.{point.column}" if point else "null::varchar"
    same_event = f"and {EVENT}.event_id = step.event_id" if spec.is_on_event else ""
    connection.execute(
        f"""
        create or replace temp table action_field as
        -- Names of ours begin with an underscore, and no field's name does.
        select step.unified_individual_id as _person, step.event_id as _event_id,
            step.edges as _edges, step.earlier as _earlier,
            {value} as _contact_point_value, {columns}
        {people(spec, aliases)}
        join (from action_step where is_fired) as step
            on step.unified_individual_id = profile.unified_individual_id {same_event}
        """,
        {"as_of": as_of} if needs_time(aliases) else {},
    )
    kinds = _field_kinds(connection, fields)
    note_fields(
        connection,
        spec.name,
        [
            *kinds.items(),
            *((f"{PREVIOUS}{name}", kinds[name]) for name in spec.previous),
        ],
    )
    packed = [f"{quoted(name)} := {quoted(name)}" for name in fields]
    packed += [
        f"{quoted(PREVIOUS + name)} := {_earlier(name, kinds[name])}"
        for name in spec.previous
    ]
    _number(connection, spec, ", ".join(packed), sequence)


def _earlier(name: str, kind: str) -> str:
    """The value kept of a field, in its own type: as JSON 7.00 would be 7.0."""
    if is_nested(kind):
        return f"json_extract(_earlier, '$.{name}')"
    return f"cast(json_extract_string(_earlier, '$.{name}') as {kind})"


def _field_kinds(
    connection: duckdb.DuckDBPyConnection, fields: Collection[str]
) -> dict[str, str]:
    rows = connection.execute("describe action_field").fetchall()
    kinds = {str(name): str(kind) for name, kind, *_ in rows[-len(fields) :]}
    return {name: kinds[name] for name in fields}


def _number(
    connection: duckdb.DuckDBPyConnection,
    spec: DataActionSpec,
    packed: str,
    sequence: int,
) -> None:
    connection.execute(
        f"""
        create or replace temp table action_message as
        select greatest($sequence, (
                select coalesce(max(sequence), 0) from activation.planned
            )) + row_number() over (order by _person, _event_id)
                as sequence,
            'msg_' || sha256(concat_ws('|', 'data_action', $action,
                coalesce('event|' || _event_id, _person || '|' || _edges)
            ))[:32] as idempotency_key,
            _person as unified_individual_id,
            if(_event_id is null, 'became_true', 'event') as cause,
            to_json(struct_pack({packed})) as payload,
            case when _contact_point_value is not null then $type end as type,
            _contact_point_value as value
        from action_field
        """,
        {
            "sequence": sequence,
            "action": spec.name,
            "type": spec.contact_point.type if spec.contact_point else None,
        },
    )
    connection.execute("drop table action_field")
