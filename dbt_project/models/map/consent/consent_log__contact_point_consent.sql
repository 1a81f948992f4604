with

-- Deleted answers too: an opt-out outlives its record.
source as (

    select
        *,
        {{ consent_status('status') }} as consent_status,
        case
            when lower(contact_point_type) like '%mail%' or contact_point_value like '%@%'
                then 'email'
            else 'phone'
        end as point_type
    from {{ source('dlo', 'consent_log') }}

),

valued as (

    select
        source.*,
        case
            when source.point_type = 'phone' then [phone.e164]
            when source.consent_status = 'opt_out'
                then {{ emails_named('source.contact_point_value') }}
            else [{{ normalise_email('source.contact_point_value') }}]
        end as points
    from source
    left join {{ source('reference', 'phone') }} as phone
        on
            source.contact_point_value = phone.raw
            and phone.country_hint = ''
    where not source._is_deleted or source.consent_status = 'opt_out'

),

named as (

    select
        *,
        unnest(points) as point,
        unnest(range(1, len(points) + 1)) as place
    from valued

),

renamed as (

    select
        ---------- ids
        {{ consent_id('place') }} as id,
        {{ clean_text('source_record') }} as party_id,

        ---------- what was answered, for what
        point_type as contact_point_type_id,
        point as contact_point_value,
        {{ consent_aim('purpose', ['marketing', 'service', 'analytics', 'all']) }}
            as data_use_purpose_id,
        {{ consent_aim('channel', ['email', 'sms', 'phone', 'all']) }}
            as engagement_channel_type_id,
        consent_status as consent_status_id,

        ---------- when and where
        captured_at as consent_captured_date_time,
        coalesce({{ clean_text('source') }}, 'unknown') as consent_captured_source_name,
        double_opt_in_at as double_consent_capture_date_time,
        coalesce(effective_from, captured_at) as effective_from_date,
        -- An opt-out that ends before it begins was mistyped; it does not end.
        case
            when
                consent_status <> 'opt_out'
                or effective_to > coalesce(effective_from, captured_at)
                then effective_to
        end as effective_to_date,

        ---------- provenance
        {{ dmo_tail('consent_log', created='captured_at') }}

    from named

)

-- An opt-out that cannot be read holds for the record it was given for: see
-- cdp_assets.governance.answers.
select * from renamed
where contact_point_value is not null or consent_status_id = 'opt_out'
