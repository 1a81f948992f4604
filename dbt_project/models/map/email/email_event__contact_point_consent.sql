with

source as (

    select * from {{ source('dlo', 'email_event') }}
    where
        not _is_deleted
        and EventType = 'Unsubscribe'
        and IsTestSend is not true

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'email_subscriber:' || SubscriberKey as party_id,

        ---------- what was answered, for what
        'email' as contact_point_type_id,
        {{ normalise_email('EmailAddress') }} as contact_point_value,
        'marketing' as data_use_purpose_id,
        'email' as engagement_channel_type_id,
        'opt_out' as consent_status_id,

        ---------- when and where
        EventDate as consent_captured_date_time,
        'email_unsubscribe' as consent_captured_source_name,
        cast(null as timestamp) as double_consent_capture_date_time,
        EventDate as effective_from_date,
        cast(null as timestamp) as effective_to_date,

        ---------- provenance
        {{ dmo_tail('email_event', created='EventDate') }}

    from source

)

select * from renamed
where contact_point_value is not null
