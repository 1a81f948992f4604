with

source as (

    select * from {{ source('dlo', 'consent_log') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        {{ clean_text('source_record') }} as party_id,

        ---------- what was answered, for what
        lower(trim(contact_point_type)) as contact_point_type_id,
        contact_point_value as typed_value,
        lower(trim(purpose)) as data_use_purpose_id,
        lower(trim(channel)) as engagement_channel_type_id,
        lower(trim(status)) as consent_status_id,

        ---------- when and where
        captured_at as consent_captured_date_time,
        {{ clean_text('source') }} as consent_captured_source_name,
        double_opt_in_at as double_consent_capture_date_time,
        coalesce(effective_from, captured_at) as effective_from_date,
        effective_to as effective_to_date,

        ---------- provenance
        {{ dmo_tail('consent_log', created='captured_at') }}

    from source

),

valued as (

    select
        renamed.*,
        case
            when renamed.contact_point_type_id = 'email'
                then {{ normalise_email('renamed.typed_value') }}
            else phone.e164
        end as contact_point_value
    from renamed
    left join {{ source('reference', 'phone') }} as phone
        on
            renamed.typed_value = phone.raw
            and phone.country_hint = ''

)

select * exclude (typed_value) from valued
where contact_point_value is not null
