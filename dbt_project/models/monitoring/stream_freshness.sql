with

newest as (

    {{ newest_records() }}

),

loads as (

    select
        stream,
        max(finished_at) as last_loaded_at

    from {{ source('ops', 'load') }}
    group by stream

),

waiting as (

    select
        stream,
        count(*) as quarantined_waiting

    from {{ source('ops', 'quarantine') }}
    where replayed_load_seq is null
    group by stream

)

select
    newest.stream,
    newest.records,
    newest.newest_record_at,
    cast(
        (epoch_ms({{ as_of() }}) - epoch_ms(newest.newest_record_at)) / 3600000
        as decimal(18, 2)
    ) as hours_behind,
    loads.last_loaded_at,
    coalesce(waiting.quarantined_waiting, 0) as quarantined_waiting

from newest
left join loads on newest.stream = loads.stream
left join waiting on newest.stream = waiting.stream
