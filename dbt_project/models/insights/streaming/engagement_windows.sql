{%- set windows = {
    'day': 'tumbling 1 day',
    'week': 'sliding 7 days',
    'session': 'sliding 30 minutes',
} -%}
{{ streaming(windows, happened_at='event_date') }}

select
    unified_individual_id,
    cast(coalesce(sum({{ engagement_points('event_type') }}) filter (where in_day), 0) as bigint)
        as score_today,
    cast(coalesce(sum({{ engagement_points('event_type') }}) filter (where in_week), 0) as bigint)
        as score_7d,
    count(*) filter (where in_session) as session_events,
    min(event_date) filter (where in_session) as session_started_date,
    count(*) filter (where in_session and event_type = 'WebVisit') as session_web_visits,
    count(distinct cast(event_date as date)) filter (where in_week) as active_days_7d

from {{ windowed_events(ref('unified_engagement_event'), windows, 'event_date') }} as events
group by unified_individual_id
