{%- set shown = [
    'address_line1', 'city_name', 'postal_code_text', 'state_province_name',
    'state_province_id', 'country_id', 'region_name', 'continent_name',
] -%}

with

points as (

    select
        link.unified_individual_id,
        address.party_id as record,
        address.address_line1,
        address.city_name,
        address.postal_code_text,
        address.state_province_name,
        address.state_province_id,
        address.country_id,
        address.region_name,
        address.continent_name,
        -- No source says which address is the first.
        cast(null as boolean) as primary_flag,
        address.data_source_id,
        address.data_source_object_id,
        address.last_modified_date,
        concat_ws(
            '|',
            coalesce(address.normalised_address_line1, ''),
            coalesce(address.normalised_city, ''),
            coalesce(lower(replace(address.postal_code_text, ' ', '')), ''),
            coalesce(address.country_id, '')
        ) as normalised_address

    from {{ ref('unified_record') }} as link
    inner join {{ ref('contact_point_address') }} as address on link.record = address.party_id

),

standings as (

    {{ source_standings('individual', 'points', ['address_line1']) }}

),

merged as (

    select
        points.unified_individual_id,
        points.normalised_address,
        count(distinct points.record) as records,
        min({{ contact_point_standing(shown) }}) as best,
        max(points.last_modified_date) as last_modified_date

    from points
    inner join standings on points.data_source_object_id = standings.data_source_object_id
    group by points.unified_individual_id, points.normalised_address

)

select
    md5(unified_individual_id || '|' || normalised_address) as id,
    unified_individual_id,
    best.address_line1,
    best.city_name,
    best.postal_code_text,
    best.state_province_name,
    best.state_province_id,
    best.country_id,
    best.region_name,
    best.continent_name,
    records,
    row_number() over (
        partition by unified_individual_id order by best, normalised_address
    ) as rank,
    best.record as source_record_id,
    last_modified_date

from merged
