{{ config(alias='EngagementEvent') }}

select
    unified_individual_id as UnifiedIndividualId,
    event_type as EventType,
    event_date as EventDate

from {{ ref('unified_engagement_event') }}
