{#- Every stream there is, by the sources dbt knows: a new stream is watched from its first
    load without a line here. dbt fills `graph` only when it runs. -#}
{%- set streams = graph.sources.values() | selectattr('source_name', 'equalto', 'dlo')
    | sort(attribute='name') | list if execute else [] -%}

with

newest as (

    {% for stream in streams %}
    select
        '{{ stream.name }}' as stream,
        count(*) filter (where not _is_deleted) as records,
        max(_modified_at) as newest_record_at
    from {{ stream.relation_name }}
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        cast(null as varchar) as stream,
        cast(null as bigint) as records,
        cast(null as timestamp) as newest_record_at
    where false
    {% endfor %}

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
