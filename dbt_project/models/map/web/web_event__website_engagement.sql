with

source as (

    select * from {{ source('dlo', 'web_event') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'shop_customer:' || nullif(trim(userId), '') as individual_id,
        nullif(trim(anonymousId), '') as device_id,

        ---------- event
        timestamp as engagement_date_tm,
        case
            when lower(trim(type)) = 'track' then coalesce({{ snake_case('event') }}, 'track')
            else lower(trim(type))
        end as engagement_channel_action_id,
        {{ json_text('properties', 'url') }} as page_url,
        coalesce({{ json_text('properties', 'title') }}, name) as page_title,
        {{ json_text('properties', 'referrer') }} as referrer_url,
        {{ json_text('context', 'sessionId') }} as session_id,

        ---------- provenance
        {{ dmo_tail('web_event', created='timestamp') }}

    from source

)

select * from renamed
