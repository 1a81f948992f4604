{{ config(materialized='table', schema='web') }}

-- One row per device with a session.
select
    domain_userid,
    min_by(user_id, start_tstamp) as user_id,
    any_value(stitched_user_id) as stitched_user_id,
    min(start_tstamp) as start_tstamp,
    max(end_tstamp) as end_tstamp,
    sum(page_views) as page_views,
    count(*) as sessions,
    sum(engaged_time_in_s) as engaged_time_in_s

from {{ ref('web_session') }}
where domain_userid is not null
group by domain_userid
