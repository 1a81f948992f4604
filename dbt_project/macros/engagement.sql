{#- Engagement: the names of events, and the increments of the models that keep them. -#}

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

{#- The condition that keeps, in an incremental run, the rows loaded since this model's
    mark: the greatest load it holds. -#}
{% macro above_mark() -%}
    {%- if is_incremental() -%}
    _load_seq > (select coalesce(max(_load_seq), -1) from {{ this }})
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}

{#- Before an incremental run, drop the rows of every record loaded since the mark. A record
    that was deleted, or no longer maps (a send now marked as a test), has no new row that
    would replace the old one. In the run's own transaction. -#}
{% macro drop_changed_records(stream) -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where source_record_id in (
        select _record_id from {{ source('dlo', stream) }} where {{ above_mark() }}
    )
    {%- endif -%}
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
