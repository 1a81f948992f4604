with

source as (

    select * from {{ source('dlo', 'crm_lead') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id || '/business' as id,
        _record_id as party_id,

        ---------- number
        Phone as telephone_number,
        {{ clean_text('Country') }} as country_typed,
        'business' as phone_type_id,
        true as primary_flag,

        ---------- provenance
        {{ dmo_tail('crm_lead', created='CreatedDate') }}

    from source

),

standardised as (

    {{ with_e164('renamed') }}

)

select * from standardised
