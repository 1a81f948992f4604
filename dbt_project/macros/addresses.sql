{#- Postal addresses, in the form in which they are compared. -#}

{#- Words that one writer spells out and the next one shortens, cut to the letters that
    all spellings begin with: what is left need not be read, only compared. Nine at a
    time, because a replacement can name nine groups. -#}
{% macro street_words() -%}
    {{ return([
        [
            '(st)(?:r|reet|raat|rasse)', '(av)(?:e|da|enue|enida)', '(r)(?:d|oad|ua)',
            '(dr)(?:ive)', '(l)(?:n|ane)', '(b)(?:d|vd|lvd|oulevard)', '(sq)(?:uare)',
            '(p)(?:l|lace|latz|laza|lein|iazza|raca)', '(c)(?:t|ourt|alle|arrer)'
        ],
        [
            '(ter)(?:race)', '(h)(?:wy|ighway)', '(p)(?:kwy|arkway|aseo)', '(cl)(?:ose)',
            '(cres)(?:cent)', '(g)(?:dns|ardens)', '(gr)(?:v|ove)', '(v)(?:ia)', '(ul)(?:ica)'
        ],
        [
            '(r)(?:te|oute)', '(ch)(?:emin)', '(all)(?:ee)', '(f)(?:bg|aubourg)', '(fl)(?:oor)',
            '(ap)(?:t|artment|partement|artamento)', '(s)(?:te|uite)', '(b)(?:ldg|uilding)',
            '(n)(?:o|r|umber|umero)'
        ],
        ['(n)(?:orth)', '(s)(?:outh)', '(e)(?:ast)', '(w)(?:est)']
    ]) }}
{%- endmacro %}

{#- Folded, without punctuation, its street words in their short form, the house number
    first. German and Dutch write the word onto the name (Hauptstraße, Hauptstr. and
    hauptstrasse are one street) and, with most of Europe, the number behind it. -#}
{% macro normalise_address_line(column) -%}
    {#- Two spaces between words, so that neighbours do not share the one they match. -#}
    {%- set line = namespace(sql="regexp_replace("
        ~ "' ' || replace(" ~ fold_words(column) ~ ", ' ', '  ') || ' ', "
        ~ "'(strasse|straat|str) ', 'str ', 'g')") -%}
    {#- P.O. Box and PO Box; the dots are gone by now. -#}
    {%- set line.sql = "replace(" ~ line.sql ~ ", ' p  o  box ', ' po  box ')" -%}
    {%- set groups = "\\1\\2\\3\\4\\5\\6\\7\\8\\9" -%}
    {%- for words in street_words() -%}
        {%- set line.sql = "regexp_replace(" ~ line.sql ~ ", ' (?:" ~ words | join("|")
            ~ ") ', ' " ~ groups[:2 * (words | length)] ~ " ', 'g')" -%}
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

{#- The rows of a mapping that say where, with the country looked up from country_typed,
    its part of the world, the state in that country, and the forms for comparing. -#}
{% macro with_country(addresses) -%}
    select
        addresses.* exclude (country_typed),
        state.code as state_province_id,
        country.iso2 as country_id,
        country.name as country_name,
        country.region as region_name,
        country.continent as continent_name,
        {{ normalise_address_line('addresses.address_line1') }} as normalised_address_line1,
        {{ normalise_city('addresses.city_name') }} as normalised_city
    from {{ addresses }} as addresses
    left join {{ ref('country') }} as country
        on country.alias = {{ fold('addresses.country_typed') }}
    left join {{ ref('state_province') }} as state
        on
            state.country_id = country.iso2
            and state.alias = {{ fold_words('addresses.state_province_name') }}
    where
        coalesce(addresses.address_line1, addresses.city_name, addresses.postal_code_text)
        is not null
{%- endmacro %}
