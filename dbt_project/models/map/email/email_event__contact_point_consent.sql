{{ config(meta={
    'changes_with': {
        'email_subscriber': 'record.SubscriberKey = changed.SubscriberKey'
    }
}) }}

with

-- Whoever reports a message as spam wants no other.
source as (

    select * from {{ source('dlo', 'email_event') }}
    where
        regexp_matches(lower(EventType), 'unsub|opt.?out|complain|spam')
        and IsTestSend is not true

),

addressed as (

    select
        source.*,
        {{ emails_named('source.EmailAddress') }} as own_addresses,
        {{ emails_named('subscriber.EmailAddress') }} as subscribed_addresses
    from source
    left join {{ source('dlo', 'email_subscriber') }} as subscriber
        on source.SubscriberKey = subscriber.SubscriberKey

),

listed as (

    select
        *,
        case when own_addresses = [null] then subscribed_addresses else own_addresses end
            as addresses
    from addressed

),

named as (

    select
        *,
        unnest(addresses) as address,
        unnest(range(1, len(addresses) + 1)) as place
    from listed

),

renamed as (

    select
        ---------- ids
        {{ consent_id('place') }} as id,
        'email_subscriber:' || SubscriberKey as party_id,

        ---------- what was answered, for what
        'email' as contact_point_type_id,
        address as contact_point_value,
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

    from named

)

-- Without an address it holds for the subscriber: see cdp_assets.governance.answers.
select * from renamed
