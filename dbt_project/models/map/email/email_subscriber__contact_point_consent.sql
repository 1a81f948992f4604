with

-- An unsubscribe older than the events we keep shows in the status alone. Deleted
-- subscribers too: an opt-out outlives its record.
source as (

    select * from {{ source('dlo', 'email_subscriber') }}
    where regexp_matches(lower(Status), 'unsub|opt.?out|complain')

),

named as (

    select
        *,
        unnest(addresses) as address,
        unnest(range(1, len(addresses) + 1)) as place
    from (select *, {{ emails_named('EmailAddress') }} as addresses from source)

),

renamed as (

    select
        ---------- ids
        {{ consent_id('place') }} as id,
        _record_id as party_id,

        ---------- what was answered, for what
        'email' as contact_point_type_id,
        address as contact_point_value,
        'marketing' as data_use_purpose_id,
        'email' as engagement_channel_type_id,
        'opt_out' as consent_status_id,

        ---------- when and where
        DateModified as consent_captured_date_time,
        'email_status' as consent_captured_source_name,
        cast(null as timestamp) as double_consent_capture_date_time,
        DateModified as effective_from_date,
        cast(null as timestamp) as effective_to_date,

        ---------- provenance
        {{ dmo_tail('email_subscriber', created='DateJoined') }}

    from named

)

-- Without an address it holds for the subscriber: see cdp_assets.governance.answers.
select * from renamed
