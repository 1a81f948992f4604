"""Which changes are owed: what members should look like, against what was sent.

The rules are those that ``planning`` states; here they are as one query. A change is
one row, or two: where an address of somebody must be left and another taken, the
removal of what was sent (``step`` 1) goes before the add of what is now (``step`` 2).
"""

import duckdb

from cdp_assets.activation.destinations.template import matched_by
from cdp_assets.activation.spec import ActivationSpec

_CHANGES = """
    create or replace temp table activation_change as
    with paired as (
        select coalesce(d.unified_individual_id, s.unified_individual_id)
                as unified_individual_id,
            d.unified_individual_id is not null as is_member,
            coalesce(c.allowed, false) as allowed,
            s.contact_point_value is null or coalesce(k.allowed, false)
                as last_allowed,
            s.outcome = 'pending' and s.operation in ('add', 'update')
                and coalesce(k.allowed, false) as will_be_sent,
            s.operation as last_operation, s.cause as last_cause, s.outcome,
            coalesce(s.is_held, false) as is_held,
            coalesce(s.is_held or (
                s.outcome = 'pending' and s.operation in ('add', 'update')
            ), false) as may_be_held,
            coalesce(s.person_sequence, 0) as person_sequence,
            s.merged_into, redirect.live_ids[1] as living,
            d.payload_hash is distinct from s.payload_hash as differs,
            -- Not under an address that it was told; of whom nothing is kept, nothing
            -- is left there.
            coalesce(list_bool_or(list_transform(
                list_zip(
                    json_extract_string(s.payload, $matched_by),
                    json_extract_string(d.payload, $matched_by)
                ),
                lambda each: each[1] <> '' and each[1] is distinct from each[2]
            )), false) as known_differs,
            {
                'payload': d.payload::json, 'payload_hash': d.payload_hash,
                'type': d.contact_point_type, 'value': d.contact_point_value
            } as desired,
            {
                'payload': s.payload, 'payload_hash': s.payload_hash,
                'type': s.contact_point_type, 'value': s.contact_point_value
            } as last
        from activation_desired as d
        full join (
            select * from activation.sent_state where activation = $activation
        ) as s using (unified_individual_id)
        left join activation_consent as c
            on c.contact_point_type = d.contact_point_type
            and c.contact_point_value = d.contact_point_value
        left join activation_consent as k
            on k.contact_point_type = s.contact_point_type
            and k.contact_point_value = s.contact_point_value
        left join identity.redirect as redirect
            on redirect.retired_id
                = coalesce(d.unified_individual_id, s.unified_individual_id)
            and redirect.kind = 'merged' and len(redirect.live_ids) = 1
    ),
    -- Whose place somebody takes who may be sent to.
    heir as (
        select loser.unified_individual_id, winner.unified_individual_id as winner,
            {'type': winner.desired.type, 'value': winner.desired.value} as reached
        from paired as loser join paired as winner
            on winner.unified_individual_id = loser.living
        where winner.is_member and winner.allowed
            and (not winner.is_held or winner.last_allowed)
    ),
    known as (
        select *, list_contains($operations, 'alias') and not is_member and is_held
                and last_operation in ('add', 'update') and last_allowed
                and winner is not null
            as is_merged
        from paired left join heir using (unified_individual_id)
    ),
    caused as (
        select *, case
            -- Of a contact point that the destination was told, first: it may know the
            -- person by it, and a cap does not hold this.
            when is_held and last_operation <> 'remove' and not last_allowed
                and list_contains($operations, 'remove')
                then 'consent_withdrawn'
            when is_merged then 'merged'
            when not is_member then case
                when last_operation in ('add', 'update') then 'left'
                -- The destination was not told, or will not be: it holds them still.
                when last_operation = 'alias' and is_held and (outcome <> 'pending'
                    or winner is distinct from merged_into) then 'left'
                end
            when last_operation is null
                or (last_operation in ('remove', 'alias')
                    and last_cause in ('left', 'merged'))
                then 'entered'
            -- What waits to leave for an address that was theirs must not any more.
            when not allowed then if((is_held or will_be_sent)
                and last_operation <> 'remove', 'consent_withdrawn', null)
            when last_operation = 'remove' or outcome = 'withheld'
                then 'consent_given'
            when differs then 'changed'
            when unified_individual_id in (
                select winner from known where is_merged
            ) then 'merged'
            when $is_full and outcome <> 'pending' then 'refreshed'
            end as cause
        from known
    ),
    chosen as (
        select *, case cause
            when 'left' then if(may_be_held, 'remove', null)
            when 'consent_withdrawn' then 'remove'
            when 'entered' then 'add'
            -- One that was withheld after a try may have arrived or not.
            when 'consent_given' then if(is_held and last_operation <> 'remove'
                and list_contains($operations, 'update'), 'update', 'add')
            when 'merged' then case when is_merged then 'alias'
                when may_be_held then 'update' else 'add' end
            when 'changed' then if(may_be_held, 'update', 'add')
            when 'refreshed' then if(may_be_held, 'update', 'add')
            end as wanted
        from caused
    ),
    -- Removed at one address and reached at another: both in one plan, so that what is
    -- sent does not depend on how often was planned.
    stepped as (
        select chosen.* exclude (cause, wanted), step,
            case when list_has_all($operations, ['remove', 'add']) and (
                    (is_member and allowed and cause = 'consent_withdrawn')
                    or (wanted = 'update' and known_differs and may_be_held)
                ) then 2 else 1 end as steps,
            if(step = 2 and cause = 'consent_withdrawn', 'consent_given', cause)
                as cause,
            if(steps = 1, wanted, if(step = 1, 'remove', 'add')) as wanted
        from chosen cross join (values (1), (2)) as each (step)
        where step <= steps
    ),
    -- What is removed or is another now is what was sent, not what would be today.
    filled as (
        select *, if(list_contains($operations, wanted), wanted, null) as operation,
            if(wanted in ('remove', 'alias'), last, desired) as content
        from stepped
    )
    select *, sha256(concat_ws('|', $activation, unified_individual_id, operation,
            content.payload_hash, person_sequence + step,
            if(operation = 'alias', winner, null))) as digest,
        if(operation is null, null, greatest($sequence, (
            select coalesce(max(sequence), 0) from activation.planned
        )) + row_number() over (
            partition by operation is null
            order by operation <> 'remove', operation <> 'alias',
                unified_individual_id
        )) as sequence
    from filled
"""


def fill_changes(
    connection: duckdb.DuckDBPyConnection,
    spec: ActivationSpec,
    sequence: int,
    *,
    is_full: bool,
) -> None:
    """Fill ``activation_change``: per person the changes owed, if any, and their keys.

    Removals come first, so that of a merge the destination first drops the loser; then
    aliases, which tell it of the merge instead, before what is sent of the winner.

    Args:
        connection: The warehouse, with activation_desired and activation_consent.
        spec: The activation.
        sequence: The last sequence that the outbox has; new ones follow it.
        is_full: Whether those are sent again of whom nothing changed.
    """
    connection.execute(
        _CHANGES,
        {
            "activation": spec.name,
            "operations": list(spec.operations),
            "matched_by": [f"$.{field}" for field in matched_by(spec.destination)],
            "sequence": sequence,
            "is_full": is_full,
        },
    )
