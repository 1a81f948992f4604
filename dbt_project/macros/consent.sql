{#- Answers to consent as sources spell them. What cannot be read must not allow anything:
    a status nobody knows is an opt-out, and an opt-out keeps every address it names. -#}

{#- opt_in, pending or opt_out, which everything else is. -#}
{% macro consent_status(column) -%}
    case
        when {{ consent_word(column) }} in ('opt_in', 'opted_in', 'optin') then 'opt_in'
        when {{ consent_word(column) }} = 'pending' then 'pending'
        else 'opt_out'
    end
{%- endmacro %}

{#- One of the words, else unknown: cdp_assets.governance.consent takes an opt-out for an
    unknown purpose or channel as one for all, and an opt-in as one for none. -#}
{% macro consent_aim(column, words) -%}
    case
        when {{ consent_word(column) }} in ('{{ words | join("', '") }}')
            then {{ consent_word(column) }}
        {%- if 'email' in words %}
        when {{ consent_word(column) }} = 'e_mail' then 'email'
        {%- endif %}
        else 'unknown'
    end
{%- endmacro %}

{% macro consent_word(column) -%}
    regexp_replace(lower({{ clean_text(column) }}), '[ _-]+', '_', 'g')
{%- endmacro %}

{#- Every address in a text as a list: usually the one it is, several where somebody typed
    two into one field, a list of null where there is none. -#}
{% macro emails_named(column) -%}
    case
        when {{ normalise_email(column) }} is not null then [{{ normalise_email(column) }}]
        else coalesce(
            nullif(
                list_sort(list_distinct(list_transform(
                    regexp_extract_all({{ column }}, '[^\s,;|/<>()"]+@[^\s,;|/<>()"]+'),
                    lambda named: {{ normalise_email('named') }}
                ))),
                []
            ),
            [null]
        )
    end
{%- endmacro %}

{#- The id of an answer: its record, and from the second address it names on which one. -#}
{% macro consent_id(place) -%}
    _record_id || case when {{ place }} > 1 then '#' || {{ place }} else '' end
{%- endmacro %}
