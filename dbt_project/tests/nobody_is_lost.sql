-- Everybody who has a record has a profile, and no profile is without one.
{{ config(meta={'dagster': {'ref': {'name': 'unified_individual'}}}) }}

with

people as (

    select distinct unified_individual_id
    from {{ ref('unified_record') }}

)

select
    people.unified_individual_id as person,
    profile.unified_individual_id as profile

from people
full outer join {{ ref('unified_individual') }} as profile
    on people.unified_individual_id = profile.unified_individual_id
where people.unified_individual_id is null or profile.unified_individual_id is null
