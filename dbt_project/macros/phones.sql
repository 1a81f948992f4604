{#- Phone numbers. Number plans are libphonenumber's business, so Python fills
    reference.phone before dbt runs, and a mapping only looks its numbers up. -#}

{#- The rows of a mapping that hold a digit, with their E.164 form or why there is none.
    Reads telephone_number and country_typed: a national number means nothing without
    the country it was written in, and the same digits are two numbers in two countries. -#}
{% macro with_e164(numbers) -%}
    select
        numbers.* exclude (country_typed),
        phone.e164 as formatted_e164_phone_number,
        phone.country as phone_country_code,
        phone.reason as invalid_reason
    from {{ numbers }} as numbers
    left join {{ ref('country') }} as country
        on country.alias = {{ fold('numbers.country_typed') }}
    left join {{ source('reference', 'phone') }} as phone
        on
            phone.raw = numbers.telephone_number
            and phone.country_hint = coalesce(country.iso2, '')
    where regexp_matches(numbers.telephone_number, '\d')
{%- endmacro %}
