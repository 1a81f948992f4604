{#- Engagement: the names of events. -#}

{#- `Product Added`, `productAdded` and `product-added` are one event: product_added. -#}
{% macro snake_case(column) -%}
    lower(
        trim(
            regexp_replace(
                regexp_replace({{ column }}, '([\p{Ll}\d])(\p{Lu})', '\1_\2', 'g'),
                '[^\p{L}\d]+', '_', 'g'
            ),
            '_'
        )
    )
{%- endmacro %}

{#- Text out of JSON by its path; the empty string says nothing. -#}
{% macro json_text(column, path) -%}
    nullif(trim({{ column }} ->> '$.{{ path }}'), '')
{%- endmacro %}

{#- The columns every model object ends with, by name. -#}
{% macro tail_columns(relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {{ prefix }}data_source_id,
    {{ prefix }}data_source_object_id,
    {{ prefix }}source_record_id,
    {{ prefix }}created_date,
    {{ prefix }}last_modified_date,
    {{ prefix }}_load_seq
{%- endmacro %}
