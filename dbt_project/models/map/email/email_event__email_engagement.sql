with

source as (

    select * from {{ source('dlo', 'email_event') }}
    where not _is_deleted and IsTestSend is not true

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'email_subscriber:' || nullif(trim(SubscriberKey), '') as individual_id,
        'email_subscriber:' || nullif(trim(SubscriberKey), '') as contact_point_id,

        ---------- event
        EventDate as engagement_date_tm,
        {{ email_action('EventType') }} as engagement_channel_action_id,
        EmailName as email_name,
        SubjectLine as subject_line_txt,
        Url as link_url,
        coalesce(BounceReason, BounceCategory) as bounce_reason_text,

        ---------- provenance
        {{ dmo_tail('email_event', created='EventDate') }}

    from source

)

select * from renamed
