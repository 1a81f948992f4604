with

-- A number without an E.164 form cannot be dialled or compared: it stays in dmo.
points as (

    select
        link.unified_individual_id,
        phone.party_id as record,
        phone.formatted_e164_phone_number,
        phone.phone_type_id,
        phone.primary_flag,
        phone.data_source_id,
        phone.data_source_object_id,
        phone.last_modified_date

    from {{ ref('unified_record') }} as link
    inner join {{ ref('contact_point_phone') }} as phone on link.record = phone.party_id
    where phone.formatted_e164_phone_number is not null

),

standings as (

    {{ source_standings('individual', 'points', ['telephone_number']) }}

),

merged as (

    select
        points.unified_individual_id,
        points.formatted_e164_phone_number,
        count(distinct points.record) as records,
        min({{ contact_point_standing(['phone_type_id']) }}) as best,
        max(points.last_modified_date) as last_modified_date

    from points
    inner join standings on points.data_source_object_id = standings.data_source_object_id
    group by points.unified_individual_id, points.formatted_e164_phone_number

)

select
    md5(unified_individual_id || '|' || formatted_e164_phone_number) as id,
    unified_individual_id,
    formatted_e164_phone_number,
    best.phone_type_id,
    records,
    row_number() over (
        partition by unified_individual_id order by best, formatted_e164_phone_number
    ) as rank,
    best.record as source_record_id,
    last_modified_date

from merged
