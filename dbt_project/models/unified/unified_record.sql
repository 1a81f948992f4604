-- A link outlives its record when the source deletes it and the next resolution is held.
select
    link.unified_individual_id,
    link.record,
    link.tier,
    link.linked_at_run

from {{ source('identity', 'unified_link_individual') }} as link
inner join {{ ref('individual') }} as individual on link.record = individual.id
