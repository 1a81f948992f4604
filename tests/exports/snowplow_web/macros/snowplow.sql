{#- The events that count: the first receipt of each, of a session, sent within three days,
    and no later than three days into a session (what goes on longer is a robot). -#}
{% macro snowplow_events() -%}
    select *
    from (
        select
            *,
            web_page ->> '$[0].id' as page_view_id,
            min(collector_tstamp) over (partition by domain_sessionid) as session_begins
        from {{ source('dlo', 'snowplow_event') }}
        where
            not _is_deleted
            and domain_sessionid is not null
            and dvce_sent_tstamp <= dvce_created_tstamp + interval 3 days
        qualify
            row_number() over (
                partition by event_id order by collector_tstamp, etl_tstamp
            ) = 1
    )
    where collector_tstamp <= session_begins + interval 3 days
{%- endmacro %}

{#- Seconds of attention: the tracker pings every 10 s while somebody moves, first after
    5 s. Pings of one tick count once. -#}
{% macro engaged_seconds() -%}
    coalesce(
        10 * (
            count(distinct epoch(dvce_created_tstamp) // 10)
                filter (where event_name = 'page_ping')
            - 1
        ) + 5,
        0
    )
{%- endmacro %}

{#- The last login on a device is whose device it is. -#}
{% macro snowplow_logins() -%}
    select
        domain_userid,
        max_by(user_id, collector_tstamp) as stitched_user_id
    from {{ source('dlo', 'snowplow_event') }}
    where domain_userid is not null and user_id is not null
    group by domain_userid
{%- endmacro %}
