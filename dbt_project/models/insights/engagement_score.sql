with

events as (

    select * from {{ ref('unified_engagement_event') }}
    where event_date >= cast({{ as_of() }} as date) - interval 90 day

)

select
    unified_individual_id,
    cast(
        sum({{ engagement_points('event_type') }}) as bigint
    ) as engagement_score,
    max(event_date) as last_engagement_date,
    count(*) filter (where event_type = 'EmailOpen') as email_opens_90d,
    count(*) filter (where event_type = 'EmailClick') as email_clicks_90d,
    count(*) filter (where event_type = 'WebVisit') as web_visits_90d,
    count(*) filter (where event_type = 'Purchase') as purchases_90d

from events
group by unified_individual_id
