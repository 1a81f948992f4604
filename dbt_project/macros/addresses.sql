{#- Postal addresses, in the form in which they are compared. -#}

{#- Words that one writer spells out and the next one shortens. -#}
{% macro address_words() -%}
    map {
        'street': 'st', 'str': 'st', 'strasse': 'st', 'saint': 'st', 'sainte': 'ste',
        'avenue': 'ave', 'av': 'ave',
        'avda': 'ave', 'avenida': 'ave', 'road': 'rd', 'boulevard': 'blvd', 'bd': 'blvd',
        'bvd': 'blvd', 'drive': 'dr', 'lane': 'ln', 'court': 'ct', 'place': 'pl', 'plaza': 'pl',
        'square': 'sq', 'terrace': 'ter', 'highway': 'hwy', 'parkway': 'pkwy', 'circle': 'cir',
        'close': 'cl', 'crescent': 'cres', 'gardens': 'gdns', 'grove': 'grv',
        'calle': 'c', 'carrer': 'c', 'paseo': 'p', 'rua': 'r', 'via': 'v', 'ulica': 'ul',
        'platz': 'pl', 'piazza': 'pl', 'praca': 'pl', 'plein': 'pl', 'straat': 'st',
        'route': 'rte', 'chemin': 'ch', 'allee': 'all', 'faubourg': 'fbg',
        'apartment': 'apt', 'appartement': 'apt', 'apartamento': 'apt', 'suite': 'ste',
        'floor': 'fl', 'building': 'bldg', 'number': 'no', 'nr': 'no', 'numero': 'no',
        'north': 'n', 'south': 's', 'east': 'e', 'west': 'w',
        'northeast': 'ne', 'northwest': 'nw', 'southeast': 'se', 'southwest': 'sw'
    }
{%- endmacro %}

{#- Folded, without punctuation, its street words in their short form, the house number
    first. German writes the word onto the name (Hauptstraße, Hauptstr. and hauptstrasse
    are one street) and, with most of Europe, the number behind it. -#}
{% macro normalise_address_line(column) -%}
    regexp_replace(
        array_to_string(
            list_transform(
                string_split({{ fold_words(column) }}, ' '),
                lambda word: coalesce(
                    {{ address_words() }}[word],
                    regexp_replace(word, '(strasse|straat|str)$', 'str')
                )
            ),
            ' '
        ),
        '^([^\d]+) (\d+[a-z]?)$', '\2 \1'
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
