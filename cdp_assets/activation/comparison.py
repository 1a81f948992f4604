"""Which changes are owed: what members should look like, against what was sent.

The rules are those that ``planning`` states; here they are as one query.
"""

import duckdb

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
            s.operation as last_operation, s.cause as last_cause, s.outcome,
            coalesce(s.is_held, false) as is_held,
            coalesce(s.is_held or (
                s.outcome = 'pending' and s.operation in ('add', 'update')
            ), false) as may_be_held,
            coalesce(s.person_sequence, 0) as person_sequence,
            d.payload_hash is distinct from s.payload_hash as differs,
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
    ),
    caused as (
        select *, case
            -- Of a contact point that the destination was told, first: it may know the
            -- person by it, and a cap does not hold this.
            when is_held and last_operation in ('add', 'update') and not last_allowed
                and list_contains($operations, 'remove')
                then 'consent_withdrawn'
            when not is_member then if(
                last_operation in ('add', 'update'), 'left', null)
            when last_operation is null
                or (last_operation = 'remove' and last_cause = 'left')
                then 'entered'
            when not allowed then if(
                is_held and last_operation <> 'remove', 'consent_withdrawn', null)
            when last_operation = 'remove' or outcome = 'withheld'
                then 'consent_given'
            when differs then 'changed'
            when $is_full and outcome <> 'pending' then 'refreshed'
            end as cause
        from paired
    ),
    chosen as (
        select *, case cause
            when 'left' then if(may_be_held, 'remove', null)
            when 'consent_withdrawn' then 'remove'
            when 'entered' then 'add'
            when 'consent_given' then if(is_held and last_operation <> 'remove',
                'update', 'add')
            when 'changed' then if(may_be_held, 'update', 'add')
            when 'refreshed' then if(may_be_held, 'update', 'add')
            end as wanted
        from caused
    ),
    -- What is removed is what was sent, not what would be sent today.
    filled as (
        select *, if(list_contains($operations, wanted), wanted, null) as operation,
            if(wanted = 'remove', last, desired) as content
        from chosen
    )
    select *, sha256(concat_ws('|', $activation, unified_individual_id, operation,
            content.payload_hash, person_sequence + 1)) as digest,
        if(operation is null, null, greatest($sequence, (
            select coalesce(max(sequence), 0) from activation.planned
        )) + row_number() over (
            partition by operation is null
            order by operation <> 'remove', unified_individual_id
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
    """Fill ``activation_change``: per person the change owed, if any, and its key.

    Removals come first, so that of a merge the destination first drops the loser.

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
            "sequence": sequence,
            "is_full": is_full,
        },
    )
