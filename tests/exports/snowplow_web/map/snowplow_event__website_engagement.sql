{{ config(meta={'as_a_whole': true}) }}

with

events as (

    {{ snowplow_events() }}

),

renamed as (

    select
        ---------- ids
        'snowplow_event:' || event_id as id,
        'snowplow_user:' || nullif(trim(user_id), '') as individual_id,
        domain_userid as device_id,

        ---------- event
        derived_tstamp as engagement_date_tm,
        case event_name
            when 'page_view' then 'page'
            else {{ snake_case('event_name') }}
        end as engagement_channel_action_id,
        page_url,
        page_title,
        page_referrer as referrer_url,
        domain_sessionid as session_id,

        ---------- provenance
        {{ dmo_tail('snowplow_event', created='derived_tstamp') }}

    from events

)

select * from renamed
