{{ config(meta={'as_a_whole': true}) }}

with

events as (

    {{ snowplow_events() }}

),

compared as (

    select
        * replace (max(_load_seq) over (partition by domain_userid) as _load_seq),
        lag(user_id) over in_time as previous_user_id

    from events
    where domain_userid is not null and nullif(trim(user_id), '') is not null
    window in_time as (partition by domain_userid order by derived_tstamp, event_id)

),

-- A login lasts until the first event of somebody else on the same device.
logins as (

    select
        *,
        lead(derived_tstamp) over (
            partition by domain_userid order by derived_tstamp, event_id
        ) as ended_at,
        count(*) over (partition by domain_userid) as login_count

    from compared
    where user_id is distinct from previous_user_id

)

select
    ---------- ids
    domain_userid || '|' || event_id as id,
    domain_userid as device_id,
    'snowplow_user:' || trim(user_id) as individual_id,

    ---------- interval
    -- What a device did before its only login is that person's; before the first of
    -- several logins it could be anybody's.
    case when login_count > 1 then derived_tstamp end as active_from_date,
    ended_at as active_to_date,

    ---------- provenance
    {{ dmo_tail('snowplow_event', created='derived_tstamp') }}

from logins
where ended_at is null or ended_at > derived_tstamp
