{{ config(materialized='table', schema='web') }}

-- One row per page view. It reads the stream: the canonical model knows no page views, only
-- the events in them.
with

-- A session belongs to the device it began on, should the cookie change.
events as (

    select * replace (
        first_value(domain_userid) over (
            partition by domain_sessionid order by collector_tstamp, event_id
        ) as domain_userid
    )
    from ({{ snowplow_events() }})

),

attention as (

    select
        page_view_id,
        domain_sessionid,
        max(derived_tstamp) as last_ping_at,
        {{ engaged_seconds() }} as engaged_time_in_s

    from events
    where event_name = 'page_ping'
    group by page_view_id, domain_sessionid

),

-- A view sent twice under two event ids is one.
views as (

    select * from events
    where event_name = 'page_view' and page_view_id is not null
    qualify
        row_number() over (
            partition by page_view_id order by derived_tstamp, dvce_created_tstamp
        ) = 1

)

select
    views.page_view_id,
    views.event_id,
    views.domain_sessionid,
    views.domain_userid,
    views.user_id,
    logins.stitched_user_id,
    row_number() over (
        partition by views.domain_sessionid order by views.derived_tstamp, views.event_id
    ) as page_view_in_session_index,
    count(*) over (partition by views.domain_sessionid) as page_views_in_session,
    views.derived_tstamp as start_tstamp,
    coalesce(attention.last_ping_at, views.derived_tstamp) as end_tstamp,
    coalesce(attention.engaged_time_in_s, 0) as engaged_time_in_s,
    views.page_url,
    views.page_title

from views
left join attention
    on
        views.page_view_id = attention.page_view_id
        and views.domain_sessionid = attention.domain_sessionid
left join ({{ snowplow_logins() }}) as logins on views.domain_userid = logins.domain_userid
