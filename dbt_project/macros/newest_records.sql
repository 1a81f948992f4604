{#- Of every data stream, how many records there are and the latest change or event sent.
    The streams are the tables of source dlo, so that a new one is watched from its first
    load without a line here. dbt fills `graph` only when it runs. -#}
{% macro newest_records() -%}
    {%- set streams = graph.sources.values() | selectattr('source_name', 'equalto', 'dlo')
        | sort(attribute='name') | list if execute else [] -%}
    select
        cast(null as varchar) as stream,
        cast(null as bigint) as records,
        cast(null as timestamp) as newest_record_at
    where false
    {%- for stream in streams %}
    union all
    select
        '{{ stream.name }}' as stream,
        count(*) filter (where not _is_deleted) as records,
        max(_modified_at) as newest_record_at
    from {{ stream.relation_name }}
    {%- endfor %}
{%- endmacro %}
