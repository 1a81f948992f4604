{{ config(materialized='view') }}

select
    event.id as engagement_event_id,
    link.unified_individual_id,
    event.event_type,
    event.event_date

from {{ ref('engagement_event') }} as event
inner join {{ ref('unified_record') }} as link
    on event.individual_id = link.record
where
    event.event_type not in ('EmailSent', 'EmailBounce', 'EmailUnsubscribe')
    and event.event_date <= {{ as_of() }}
