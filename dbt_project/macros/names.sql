{#- Names of people. -#}

{#- What people type into a field they must fill. Null and Na are surnames and stay. -#}
{% macro junk_form() -%}
    (?i)(n/a|n\.a\.|none|unknown|unbekannt|inconnu|desconocido|test|testing|not provided
    |no ?name|anonymous|guest|tbd|x{1,3}|asdf|first ?name|last ?name)
{%- endmacro %}

{#- Whether a text is a placeholder. One expression instead of a list to search: the
    engine would clean the text again for every entry, five times slower in all. -#}
{% macro is_junk(text) -%}
    {{ matches_whole(text, junk_form() | replace('\n', '') | replace('    ', '')) }}
{%- endmacro %}

{#- A name as its bearer would write it: placeholders and text without a letter are
    null, and a name all in capitals (old SAP records) gets only its initials. -#}
{% macro clean_name(column) -%}
    {%- set name = clean_text(column) -%}
    case
        when {{ is_junk(name) }} then null
        when not regexp_matches({{ name }}, '\p{L}') then null
        when {{ name }} = upper({{ name }}) and regexp_matches({{ name }}, '\p{Lu}\p{Lu}')
            then {{ capitalise(name) }}
        else {{ name }}
    end
{%- endmacro %}

{#- Every word with one capital, also after a hyphen or an apostrophe: O'Brien-Smith. -#}
{% macro capitalise(column) -%}
    array_to_string(
        list_transform(
            regexp_extract_all({{ column }}, '[\p{L}\p{M}]+|[^\p{L}\p{M}]+'),
            lambda word: upper(word[1]) || lower(word[2:])
        ),
        ''
    )
{%- endmacro %}

{#- Jr and Sr tell a father from his son, so every spelling of them must be one. -#}
{% macro clean_suffix(column) -%}
    {%- set letters = "upper(regexp_replace(" ~ column ~ ", '[^\\p{L}]', '', 'g'))" -%}
    case
        when {{ letters }} in ('JR', 'JUNIOR', 'JNR') then 'Jr'
        when {{ letters }} in ('SR', 'SENIOR', 'SNR') then 'Sr'
        when {{ letters }} in ('II', 'III', 'IV', 'V') then {{ letters }}
    end
{%- endmacro %}

{#- Systems without a field for it keep the suffix behind the last name. Junior is left
    there: Silva Júnior is a family name. -#}
{% macro suffix_form() -%}
    '(?i)[\s,]+(jr|sr|jnr|snr|ii|iii|iv)\.?\s*$'
{%- endmacro %}

{% macro strip_suffix(column) -%}
    regexp_replace({{ column }}, {{ suffix_form() }}, '')
{%- endmacro %}

{% macro suffix_in(column) -%}
    {{ clean_suffix("regexp_extract(" ~ column ~ ", " ~ suffix_form() ~ ", 1)") }}
{%- endmacro %}

{#- The whole name, from the cleaned parts that stand beside it. -#}
{% macro person_name() -%}
    nullif(concat_ws(' ', first_name, middle_name, last_name, name_suffix), '')
{%- endmacro %}

{#- What the form of address says; Dr and Mx say nothing. -#}
{% macro gender_of(salutation) -%}
    case lower(regexp_replace({{ salutation }}, '[^\p{L}]', '', 'g'))
        when 'mr' then 'male'
        when 'herr' then 'male'
        when 'monsieur' then 'male'
        when 'm' then 'male'
        when 'ms' then 'female'
        when 'mrs' then 'female'
        when 'miss' then 'female'
        when 'frau' then 'female'
        when 'madame' then 'female'
        when 'mme' then 'female'
    end
{%- endmacro %}

{#- The language of a locale such as en-US or pt_BR, as ISO 639-1. -#}
{% macro language_of(locale) -%}
    nullif(lower(regexp_extract({{ locale }}, '^\s*([A-Za-z]{2})($|[-_])', 1)), '')
{%- endmacro %}

{#- SAP's one-letter languages, as ISO 639-1; its newer two letters stay. -#}
{% macro sap_language(column) -%}
    {%- set letters = {
        'D': 'de', 'E': 'en', 'F': 'fr', 'S': 'es', 'I': 'it', 'N': 'nl', 'P': 'pt',
        'L': 'pl', 'K': 'da', 'V': 'sv', 'O': 'no', 'U': 'fi', 'C': 'cs', 'H': 'hu',
        'R': 'ru', 'T': 'tr', 'G': 'el', 'J': 'ja', '1': 'zh', '3': 'ko', 'A': 'ar'
    } -%}
    case
        when length({{ column }}) = 2 then lower({{ column }})
        {%- for letter, language in letters.items() %}
        when {{ column }} = '{{ letter }}' then '{{ language }}'
        {%- endfor %}
    end
{%- endmacro %}

{#- A field that holds a whole name has the family name first when there is a comma, or
    when the last word is an initial; otherwise nothing tells, and the first word is taken
    for the given name. Identity resolution compares names in both orders. -#}
{% macro family_name_first(full_name) -%}
    (strpos({{ full_name }}, ',') > 0 or regexp_matches({{ full_name }}, ' \p{L}\.?$'))
{%- endmacro %}

{% macro given_name(full_name) -%}
    case
        when {{ family_name_first(full_name) }}
            then nullif(trim(regexp_extract({{ full_name }}, '(,.*| \p{L}\.?)$'), ', '), '')
        else split_part({{ full_name }}, ' ', 1)
    end
{%- endmacro %}

{#- A single word is a given name. -#}
{% macro family_name(full_name) -%}
    case
        when {{ family_name_first(full_name) }}
            then nullif(trim(regexp_replace({{ full_name }}, '(,.*| \p{L}\.?)$', '')), '')
        when strpos({{ full_name }}, ' ') > 0
            then substr({{ full_name }}, strpos({{ full_name }}, ' ') + 1)
    end
{%- endmacro %}
