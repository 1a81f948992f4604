{#- The domain of a web address: no scheme, no www, no path; null without a dot. -#}
{% macro website_domain(column) -%}
    nullif(
        regexp_extract(
            lower({{ clean_text(column) }}),
            '^(?:[a-z]+://)?(?:www\.)?([\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+)(?:[:/?#].*)?$',
            1
        ),
        ''
    )
{%- endmacro %}
