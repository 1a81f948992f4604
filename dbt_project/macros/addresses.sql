{#- Postal addresses, in the form in which they are compared. -#}

{#- Words that one writer spells out and the next one shortens. -#}
{% macro address_words() -%}
    {{ return({
        'st': ['street', 'str', 'straat', 'saint'], 'ste': ['sainte', 'suite'],
        'ave': ['avenue', 'av', 'avda', 'avenida'], 'rd': ['road'], 'dr': ['drive'],
        'blvd': ['boulevard', 'bd', 'bvd'], 'ln': ['lane'], 'ct': ['court'],
        'pl': ['place', 'plaza', 'platz', 'plein', 'piazza', 'praca'], 'sq': ['square'],
        'ter': ['terrace'], 'hwy': ['highway'], 'pkwy': ['parkway'], 'cir': ['circle'],
        'cl': ['close'], 'cres': ['crescent'], 'gdns': ['gardens'], 'grv': ['grove'],
        'c': ['calle', 'carrer'], 'p': ['paseo'], 'r': ['rua'], 'v': ['via'], 'ul': ['ulica'],
        'rte': ['route'], 'ch': ['chemin'], 'all': ['allee'], 'fbg': ['faubourg'],
        'apt': ['apartment', 'appartement', 'apartamento'], 'fl': ['floor'],
        'bldg': ['building'], 'no': ['number', 'nr', 'numero'],
        'n': ['north'], 's': ['south'], 'e': ['east'], 'w': ['west'],
        'ne': ['northeast'], 'nw': ['northwest'], 'se': ['southeast'], 'sw': ['southwest']
    }) }}
{%- endmacro %}

{#- Folded, without punctuation, its street words in their short form, the house number
    first. German and Dutch write the word onto the name (Hauptstraße, Hauptstr. and
    hauptstrasse are one street) and, with most of Europe, the number behind it.
    Replacing word by word takes 4.5 CPU seconds for a million lines; looking every word
    up in a map took nine times that. -#}
{% macro normalise_address_line(column) -%}
    {#- Two spaces between words, so that neighbours do not share the one they match. -#}
    {%- set line = namespace(sql="regexp_replace("
        ~ "' ' || replace(" ~ fold_words(column) ~ ", ' ', '  ') || ' ', "
        ~ "'(strasse|straat|str) ', 'str ', 'g')") -%}
    {%- for short, words in address_words().items() -%}
        {%- for word in words -%}
            {%- set line.sql = "replace(" ~ line.sql ~ ", ' " ~ word ~ " ', ' " ~ short ~ " ')" -%}
        {%- endfor -%}
    {%- endfor -%}
    regexp_replace(
        trim(replace({{ line.sql }}, '  ', ' ')), '^([^\d]+) (\d+[a-z]?)$', '\2 \1'
    )
{%- endmacro %}

{#- Folded, without punctuation, Saint in its short form: St. Louis is Saint Louis. -#}
{% macro normalise_city(column) -%}
    regexp_replace({{ fold_words(column) }}, '\bsaint(e?)\b', 'st\1', 'g')
{%- endmacro %}

{#- Capitals without spaces at the ends; the inner space of a British code stays, as
    people write it, and comparisons drop it themselves. -#}
{% macro clean_postal_code(column) -%}
    upper({{ clean_text(column) }})
{%- endmacro %}

{#- One line of a street that was typed on several. -#}
{% macro address_line(column, line) -%}
    {{ clean_label("split_part(" ~ column ~ ", chr(10), " ~ line ~ ")") }}
{%- endmacro %}

{#- The rows of a mapping that say where, with the country looked up from country_typed
    and the forms for comparing. -#}
{% macro with_country(addresses) -%}
    select
        addresses.* exclude (country_typed),
        country.iso2 as country_id,
        country.name as country_name,
        {{ normalise_address_line('addresses.address_line1') }} as normalised_address_line1,
        {{ normalise_city('addresses.city_name') }} as normalised_city
    from {{ addresses }} as addresses
    left join {{ ref('country') }} as country
        on country.alias = {{ fold('addresses.country_typed') }}
    where
        coalesce(addresses.address_line1, addresses.city_name, addresses.postal_code_text)
        is not null
{%- endmacro %}
