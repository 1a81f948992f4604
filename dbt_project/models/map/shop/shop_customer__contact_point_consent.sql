with

source as (

    select * from {{ source('dlo', 'shop_customer') }}
    where not _is_deleted

),

-- not_subscribed is not an answer: the customer was never asked, or never said.
answered as (

    select
        *,
        {{ json_text('email_marketing_consent', 'state') }} as consent_state,
        {{ json_text('email_marketing_consent', 'opt_in_level') }} as opt_in_level,
        coalesce(
            {{ parse_timestamp(json_text('email_marketing_consent', 'consent_updated_at')) }},
            updated_at
        ) as consent_updated_at

    from source

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,

        ---------- what was answered, for what
        'email' as contact_point_type_id,
        {{ normalise_email('email') }} as contact_point_value,
        'marketing' as data_use_purpose_id,
        'email' as engagement_channel_type_id,
        case consent_state
            when 'subscribed' then 'opt_in'
            when 'unsubscribed' then 'opt_out'
            when 'pending' then 'pending'
        end as consent_status_id,

        ---------- when and where
        consent_updated_at as consent_captured_date_time,
        'shop_account' as consent_captured_source_name,
        case
            when consent_state = 'subscribed' and opt_in_level = 'confirmed_opt_in'
                then consent_updated_at
        end as double_consent_capture_date_time,
        consent_updated_at as effective_from_date,
        cast(null as timestamp) as effective_to_date,

        ---------- provenance
        {{ dmo_tail('shop_customer', created='created_at') }}

    from answered

)

select * from renamed
where contact_point_value is not null and consent_status_id is not null
