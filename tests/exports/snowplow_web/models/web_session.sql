{{ config(materialized='table', schema='web') }}

-- One row per session in which a page was seen; a ping says that one still was.
with

events as (

    {{ snowplow_events() }}

),

views as (

    select
        domain_sessionid,
        page_view_id,
        case when count(*) filter (where event_name = 'page_ping') > 0
            then {{ engaged_seconds() }} else 0 end as engaged_time_in_s

    from events
    where event_name in ('page_view', 'page_ping') and page_view_id is not null
    group by domain_sessionid, page_view_id

),

attention as (

    select
        domain_sessionid,
        count(*) as page_views,
        sum(engaged_time_in_s) as engaged_time_in_s

    from views
    group by domain_sessionid

),

sessions as (

    select
        domain_sessionid,
        min_by(domain_userid, derived_tstamp) as domain_userid,
        min_by(user_id, derived_tstamp) as user_id,
        -- The first ping comes when the page was looked at for 5 s.
        min(
            derived_tstamp
            - case when event_name = 'page_ping' then interval 5 seconds else interval 0 seconds end
        ) as start_tstamp,
        max(derived_tstamp) as end_tstamp,
        count(*) as total_events

    from events
    group by domain_sessionid

)

select
    sessions.domain_sessionid,
    sessions.domain_userid,
    sessions.user_id,
    logins.stitched_user_id,
    sessions.start_tstamp,
    sessions.end_tstamp,
    date_diff('second', sessions.start_tstamp, sessions.end_tstamp) as absolute_time_in_s,
    attention.page_views,
    attention.engaged_time_in_s,
    sessions.total_events

from sessions
inner join attention on sessions.domain_sessionid = attention.domain_sessionid
left join ({{ snowplow_logins() }}) as logins on sessions.domain_userid = logins.domain_userid
