-- What is compared of every company's record: one row per dmo.account.
select
    id as record,
    'account' as object,
    data_source_id,
    cast(null as varchar) as first_name,
    cast(null as varchar) as first_name_canonical,
    cast(null as varchar) as middle_name,
    cast(null as varchar) as last_name,
    cast(null as varchar) as name_suffix,
    kept_value('name', fold_company(name)) as full_name,
    cast(null as varchar) as gender,
    cast(null as date) as birth_date,
    cast([] as varchar []) as emails,
    distinct_values([kept_value('telephone_number', phone_e164)]) as phones,
    coalesce(numbers.identifiers, []) as identifiers,
    distinct_values([fold_street(address_line1)]) as streets,
    distinct_values([fold_name(city_name)]) as cities,
    distinct_values([replace(fold_text(postal_code_text), ' ', '')]) as postal_codes,
    distinct_values([upper(country_id)]) as countries,
    kept_value('website_domain', fold_domain(coalesce(website_domain, website)))
        as website_domain,
    {
        'first_name': cast(null as varchar),
        'middle_name': cast(null as varchar),
        'last_name': cast(null as varchar),
        'full_name': trim(name),
        'emails': cast([] as varchar []),
        'streets': distinct_values([trim(address_line1)]),
        'cities': distinct_values([trim(city_name)])
    } as as_written,
    coalesce(attributes.attributes, map {}) as attributes
from source_account as account
left join (
    select
        party_id,
        distinct_values(list(kept_value(
            'party_identification',
            party_identification_type_id || '|' || identification_name
            || '|' || identification_number
        ))) as identifiers
    from source_party_identification
    group by party_id
) as numbers on account.id = numbers.party_id
left join node_attribute as attributes on account.id = attributes.record
