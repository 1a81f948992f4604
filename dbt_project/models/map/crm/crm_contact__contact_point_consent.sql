with

source as (

    -- Deleted contacts too: an opt-out outlives its record.
    select * from {{ source('dlo', 'crm_contact') }}
    where HasOptedOutOfEmail

),

named as (

    select
        *,
        unnest(addresses) as address,
        unnest(range(1, len(addresses) + 1)) as place
    from (select *, {{ emails_named('Email') }} as addresses from source)

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
        -- The CRM keeps a flag without its date: the last change bounds it from above.
        _modified_at as consent_captured_date_time,
        'crm_flag' as consent_captured_source_name,
        cast(null as timestamp) as double_consent_capture_date_time,
        coalesce(CreatedDate, _modified_at) as effective_from_date,
        cast(null as timestamp) as effective_to_date,

        ---------- provenance
        {{ dmo_tail('crm_contact', created='CreatedDate') }}

    from named

)

-- Without an address it holds for the contact: see cdp_assets.governance.answers.
select * from renamed
