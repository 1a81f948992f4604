select
    stream,
    cast(started_at as date) as load_date,
    count(*) as loads,
    cast(sum(rows_in) as bigint) as rows_in,
    cast(sum(inserted) as bigint) as inserted,
    cast(sum(updated) as bigint) as updated,
    cast(sum(deleted) as bigint) as deleted,
    cast(sum(unchanged) as bigint) as unchanged,
    cast(sum(superseded) as bigint) as superseded,
    cast(sum(quarantined) as bigint) as quarantined,
    cast(
        sum(rows_in - inserted - updated - deleted - unchanged - superseded - quarantined)
        as bigint
    ) as unaccounted,
    cast(sum(files) as bigint) as files,
    cast(sum(unreadable_files) as bigint) as unreadable_files,
    cast(sum(held_files) as bigint) as held_files,
    cast(sum(epoch_ms(finished_at) - epoch_ms(started_at)) / 1000 as decimal(18, 3)) as seconds

from {{ source('ops', 'load') }}
group by stream, cast(started_at as date)
