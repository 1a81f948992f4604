{#- A model's schema is its folder's name, without the target's prefix: the same table
    has the same name in every target, and dbt's asset keys equal the schema and table. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
