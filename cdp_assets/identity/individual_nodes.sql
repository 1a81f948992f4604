-- What is compared of every person's record: one row per dmo.individual that is a person.
with people as (
    select
        id as record,
        data_source_id,
        trim(first_name) as first_written,
        trim(middle_name) as middle_written,
        trim(last_name) as last_written,
        kept_value('first_name', fold_name(first_name)) as first_name,
        fold_name(middle_name) as middle_name,
        kept_value('last_name', fold_name(last_name)) as last_folded,
        fold_suffix(name_suffix) as suffix,
        gender_id as gender,
        if(
            kept_value('birth_date', cast(birth_date as varchar)) is null,
            null, birth_date
        ) as birth_date
    from source_individual
    where not coalesce(is_anonymous, false)
),

-- "Smith Jr" in a last name is Smith, and Jr is worth knowing.
named as (
    select
        * exclude (last_folded, suffix),
        nullif(regexp_replace(last_folded, ' (jr|sr|junior|senior|ii|iii|iv)$', ''), '')
            as last_name,
        coalesce(suffix, fold_suffix(nullif(
            regexp_extract(last_folded, ' (jr|sr|junior|senior|ii|iii|iv)$', 1), ''
        ))) as name_suffix
    from people
),

emails as (
    select
        party_id as record,
        distinct_values(list(kept_value('email_address', normalised_email))) as emails,
        distinct_values(list(kept_value('email_address', email_address))) as written
    from source_contact_point_email
    group by party_id
),

phones as (
    select
        party_id as record,
        distinct_values(
            list(kept_value('telephone_number', formatted_e164_phone_number))
        ) as phones
    from source_contact_point_phone
    group by party_id
),

-- A converted lead and its contact share the number that the CRM itself linked them by.
numbers as (
    select
        party_id as record,
        party_identification_type_id || '|' || identification_name
        || '|' || identification_number as identifier
    from source_party_identification
    union all
    select individual_id, 'converted_lead|CRM|' || converted_contact_id
    from source_lead
    where converted_contact_id is not null
    union all
    select converted_contact_id, 'converted_lead|CRM|' || converted_contact_id
    from source_lead
    where converted_contact_id is not null
),

identifiers as (
    select
        record,
        distinct_values(list(kept_value('party_identification', identifier)))
            as identifiers
    from numbers
    group by record
),

addresses as (
    select
        party_id as record,
        distinct_values(list(fold_name(normalised_address_line1))) as streets,
        distinct_values(list(fold_name(normalised_city))) as cities,
        distinct_values(list(replace(fold_text(postal_code_text), ' ', '')))
            as postal_codes,
        distinct_values(list(upper(country_id))) as countries,
        distinct_values(list(trim(address_line1))) as streets_written,
        distinct_values(list(trim(city_name))) as cities_written
    from source_contact_point_address
    group by party_id
)

select
    named.record,
    'individual' as object,
    named.data_source_id,
    named.first_name,
    coalesce(nickname.canonical, named.first_name) as first_name_canonical,
    named.middle_name,
    named.last_name,
    named.name_suffix,
    -- Words in the order of the alphabet: some systems write last names first.
    array_to_string(
        list_sort(string_split(named.first_name || ' ' || named.last_name, ' ')), ' '
    ) as full_name,
    named.gender,
    named.birth_date,
    coalesce(emails.emails, []) as emails,
    coalesce(phones.phones, []) as phones,
    coalesce(identifiers.identifiers, []) as identifiers,
    coalesce(addresses.streets, []) as streets,
    coalesce(addresses.cities, []) as cities,
    coalesce(addresses.postal_codes, []) as postal_codes,
    coalesce(addresses.countries, []) as countries,
    cast(null as varchar) as website_domain,
    {
        'first_name': named.first_written,
        'middle_name': named.middle_written,
        'last_name': named.last_written,
        'full_name': cast(null as varchar),
        'emails': coalesce(emails.written, []),
        'streets': coalesce(addresses.streets_written, []),
        'cities': coalesce(addresses.cities_written, [])
    } as as_written,
    coalesce(attributes.attributes, map {}) as attributes
from named
left join node_nickname as nickname on named.first_name = nickname.name
left join emails on named.record = emails.record
left join phones on named.record = phones.record
left join identifiers on named.record = identifiers.record
left join addresses on named.record = addresses.record
left join node_attribute as attributes on named.record = attributes.record
