{#- The columns every model object ends with: where the row came from, when the source
    made and last changed it, and the load that brought it. -#}
{% macro dmo_tail(stream, created='null', modified='_modified_at') -%}
    '{{ stream.split('_')[0] }}' as data_source_id,
    '{{ stream }}' as data_source_object_id,
    _record_id as source_record_id,
    cast({{ created }} as timestamp) as created_date,
    cast({{ modified }} as timestamp) as last_modified_date,
    _load_seq
{%- endmacro %}
