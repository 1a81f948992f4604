select
    run,
    object,
    started_at,
    as_of,
    ruleset_version,
    model_version,
    status,
    gate,
    records,
    people,
    cast(1 - people / nullif(records, 0) as decimal(7, 6)) as consolidation_rate,
    unmatched_records,
    cast(unmatched_records / nullif(records, 0) as decimal(7, 6)) as unmatched_rate,
    largest_person,
    evidence_rows,
    created,
    changed,
    retired,
    cast((epoch_ms(finished_at) - epoch_ms(started_at)) / 1000 as decimal(18, 3)) as seconds

from {{ source('identity', 'run') }}
