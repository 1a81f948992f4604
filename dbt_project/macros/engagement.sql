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

{#- What happened to an e-mail; other for what nobody declared. -#}
{% macro email_action(column) -%}
    {%- set action = 'lower(' ~ clean_text(column) ~ ')' -%}
    case
        when {{ action }} in ('sent', 'open', 'click', 'bounce') then {{ action }}
        when regexp_matches({{ action }}, 'unsub|opt.?out') then 'unsubscribe'
        when regexp_matches({{ action }}, 'complain|spam') then 'complaint'
        else 'other'
    end
{%- endmacro %}

{#- A word in lower case, or other where it is none of the declared ones. -#}
{% macro one_of(column, words) -%}
    case
        when lower(trim({{ column }})) in ('{{ words | join("', '") }}')
            then lower(trim({{ column }}))
        else 'other'
    end
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

{#- What an event counts in a score: the article's weights. -#}
{% macro engagement_points(event_type) -%}
    case {{ event_type }}
        when 'EmailOpen' then 2
        when 'WebVisit' then 1
        when 'Purchase' then 5
        else 0
    end
{%- endmacro %}
