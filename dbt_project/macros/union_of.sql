{#- All rows of the mappings named, in the order of columns the model's yml declares:
    adding a source to a model object is one more name in the list. A mapping that
    lacks a column fails by name instead of filling it with nulls. -#}
{% macro union_of(mappings) -%}
    {%- set columns = model.columns.keys() | join(', ') if execute else '*' -%}
    {%- for mapping in mappings %}
    select {{ columns }} from {{ ref(mapping) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro %}
