with

source as (

    select * from {{ source('dlo', 'shop_customer') }}

),

-- not_subscribed is not an answer: the customer was never asked, or never said.
answered as (

    select
        *,
        {{ consent_word(json_text('email_marketing_consent', 'state')) }} as consent_state,
        {{ json_text('email_marketing_consent', 'opt_in_level') }} as opt_in_level,
        coalesce(
            {{ parse_timestamp(json_text('email_marketing_consent', 'consent_updated_at')) }},
            updated_at
        ) as consent_updated_at

    from source

),

-- A state nobody knows is an opt-out, and an opt-out outlives its customer.
understood as (

    select
        *,
        case consent_state
            when 'subscribed' then 'opt_in'
            when 'pending' then 'pending'
            else 'opt_out'
        end as consent_status
    from answered
    where consent_state <> 'not_subscribed'

),

named as (

    select
        *,
        unnest(addresses) as address,
        unnest(range(1, len(addresses) + 1)) as place
    from (
        select
            *,
            case
                when consent_status = 'opt_out' then {{ emails_named('email') }}
                else [{{ normalise_email('email') }}]
            end as addresses
        from understood
        where not _is_deleted or consent_status = 'opt_out'
    )

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
        consent_status as consent_status_id,

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

    from named

)

-- An opt-out without an address holds for the customer: see cdp_assets.governance.answers.
select * from renamed
where contact_point_value is not null or consent_status_id = 'opt_out'
