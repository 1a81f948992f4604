with

source as (

    select * from {{ source('dlo', 'support_user') }}
    where not _is_deleted and role = 'end-user'

),

renamed as (

    select
        ---------- ids
        _record_id || '/account' as id,
        _record_id as party_id,

        ---------- number
        phone as telephone_number,
        cast(null as varchar) as country_typed,
        'account' as phone_type_id,
        true as primary_flag,

        ---------- provenance
        {{ dmo_tail('support_user', created='created_at') }}

    from source

),

standardised as (

    {{ with_e164('renamed') }}

)

select * from standardised
