{#- The rows of an account mapping with what their country and phone number lead to. -#}
{% macro with_account_lookups(accounts) -%}
    select
        accounts.* exclude (telephone_number, country_typed),
        phone.e164 as phone_e164,
        country.iso2 as country_id,
        country.region as region_name,
        country.continent as continent_name
    from {{ accounts }} as accounts
    left join {{ ref('country') }} as country
        on country.alias = {{ fold('accounts.country_typed') }}
    left join {{ source('reference', 'phone') }} as phone
        on
            phone.raw = accounts.telephone_number
            and phone.country_hint = coalesce(country.iso2, '')
{%- endmacro %}
