{#- Text, as every source is read: what DuckDB calls it stands here and nowhere else. -#}

{#- Whether the whole text has the form of a regular expression. -#}
{% macro matches_whole(column, pattern) -%}
    regexp_full_match({{ column }}, '{{ pattern | replace("'", "''") }}')
{%- endmacro %}

{#- Composed characters, single spaces, nothing around them; null when nothing is left.
    A decomposed é and a composed one look alike and would compare as different. -#}
{% macro clean_text(column) -%}
    nullif(
        trim(regexp_replace(nfc_normalize({{ column }}), '[\s\p{Z}\x{200B}\x{FEFF}]+', ' ', 'g')),
        ''
    )
{%- endmacro %}

{#- The form in which text is compared: lower case, no accents, and letters that carry
    none but have a plain spelling (ß, ø, æ) in that spelling. -#}
{% macro fold(column) -%}
    translate(
        replace(replace(replace(
            lower(strip_accents({{ column }})), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'),
        'øłđðıþ', 'olddit'
    )
{%- endmacro %}

{#- Folded words without punctuation, single spaces between; null when nothing is left. -#}
{% macro fold_words(column) -%}
    nullif(trim(regexp_replace({{ fold(column) }}, '[^\p{L}\p{N}]+', ' ', 'g')), '')
{%- endmacro %}

{#- What somebody typed to describe something, placeholders removed, case kept: IBM is
    not Ibm, as a name in capitals would become. -#}
{% macro clean_label(column) -%}
    {%- set text = clean_text(column) -%}
    case
        when {{ is_junk(text) }} then null
        when regexp_matches({{ text }}, '[\p{L}\p{N}]') then {{ text }}
    end
{%- endmacro %}
