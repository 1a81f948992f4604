with

source as (

    select * from {{ source('dlo', 'support_ticket') }}
    -- Zendesk's exports go on sending a ticket that an agent deleted.
    where not _is_deleted and lower(trim(status)) is distinct from 'deleted'

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        cast(id as varchar) as case_number,
        'support_user:' || requester_id as individual_id,
        -- Zendesk's organisations are not among the accounts we receive.
        cast(null as varchar) as account_id,

        ---------- attributes
        nullif(trim(subject), '') as subject,
        {{ one_of('status', ['new', 'open', 'pending', 'hold', 'solved', 'closed']) }}
            as case_status_id,
        case
            when trim(priority) <> ''
                then {{ one_of('priority', ['low', 'normal', 'high', 'urgent']) }}
        end as case_priority_id,
        {{ json_text('via', 'channel') }} as case_origin_id,

        ---------- dates
        created_at as opened_date,
        -- The source keeps no closing date; a solved ticket seldom changes again.
        case when lower(trim(status)) in ('solved', 'closed') then updated_at end as closed_date,
        -- Whoever has an open ticket gets no promotions, so a status nobody knows is open.
        lower(trim(coalesce(status, ''))) not in ('solved', 'closed') as is_open,

        ---------- provenance
        {{ dmo_tail('support_ticket', created='created_at') }}

    from source

)

select * from renamed
