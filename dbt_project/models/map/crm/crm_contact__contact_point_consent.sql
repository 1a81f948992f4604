with

source as (

    select * from {{ source('dlo', 'crm_contact') }}
    where not _is_deleted and HasOptedOutOfEmail

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,

        ---------- what was answered, for what
        'email' as contact_point_type_id,
        {{ normalise_email('Email') }} as contact_point_value,
        'marketing' as data_use_purpose_id,
        'email' as engagement_channel_type_id,
        'opt_out' as consent_status_id,

        ---------- when and where
        -- The CRM keeps a flag without its date: the last change bounds it from above.
        _modified_at as consent_captured_date_time,
        'crm_flag' as consent_captured_source_name,
        cast(null as timestamp) as double_consent_capture_date_time,
        CreatedDate as effective_from_date,
        cast(null as timestamp) as effective_to_date,

        ---------- provenance
        {{ dmo_tail('crm_contact', created='CreatedDate') }}

    from source

)

select * from renamed
where contact_point_value is not null
