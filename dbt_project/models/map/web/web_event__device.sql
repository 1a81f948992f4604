{{ config(meta={'as_a_whole': true}) }}

with

source as (

    select * from {{ source('dlo', 'web_event') }}
    where not _is_deleted

),

identified as (

    select
        *,
        nullif(trim(anonymousId), '') as device_id,
        'shop_customer:' || nullif(trim(userId), '') as individual_id

    from source
    where nullif(trim(anonymousId), '') is not null and nullif(trim(userId), '') is not null

),

compared as (

    select
        * replace (max(_load_seq) over (partition by device_id) as _load_seq),
        lag(individual_id) over in_time as previous_individual_id

    from identified
    window in_time as (partition by device_id order by timestamp, _record_id)

),

-- A login lasts until the first event of somebody else on the same device.
logins as (

    select
        *,
        lead(timestamp) over (partition by device_id order by timestamp, _record_id) as ended_at,
        count(*) over (partition by device_id) as login_count

    from compared
    where individual_id is distinct from previous_individual_id

),

renamed as (

    select
        ---------- ids
        device_id || '|' || _record_id as id,
        device_id,
        individual_id,

        ---------- interval
        -- What a device did before its only login is that person's; before the first of
        -- several logins it could be anybody's.
        case when login_count > 1 then timestamp end as active_from_date,
        ended_at as active_to_date,

        ---------- provenance
        {{ dmo_tail('web_event', created='timestamp') }}

    from logins
    where ended_at is null or ended_at > timestamp

)

select * from renamed
