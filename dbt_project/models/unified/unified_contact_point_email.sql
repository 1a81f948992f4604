with

points as (

    select
        link.unified_individual_id,
        email.party_id as record,
        email.email_address,
        email.normalised_email,
        email.email_domain_type_id,
        email.primary_flag,
        email.is_undeliverable,
        email.data_source_id,
        email.data_source_object_id,
        email.last_modified_date

    from {{ ref('unified_record') }} as link
    inner join {{ ref('contact_point_email') }} as email on link.record = email.party_id

),

standings as (

    {{ source_standings('individual', 'points', ['email_address']) }}

),

merged as (

    select
        points.unified_individual_id,
        points.normalised_email,
        coalesce(bool_or(points.is_undeliverable), false) as is_undeliverable,
        count(distinct points.record) as records,
        min({{ contact_point_standing(['email_address', 'email_domain_type_id']) }}) as best,
        max(points.last_modified_date) as last_modified_date

    from points
    inner join standings on points.data_source_object_id = standings.data_source_object_id
    group by points.unified_individual_id, points.normalised_email

)

select
    md5(unified_individual_id || '|' || normalised_email) as id,
    unified_individual_id,
    best.email_address,
    normalised_email,
    best.email_domain_type_id,
    is_undeliverable,
    records,
    -- An address that bounces for good helps nobody, whatever its source.
    row_number() over (
        partition by unified_individual_id order by is_undeliverable, best
    ) as rank,
    best.record as source_record_id,
    last_modified_date

from merged
