with

source as (

    select * from {{ source('dlo', 'coral_contact') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id || '/mobile' as id,
        _record_id as party_id,

        ---------- number
        MobilePhone as telephone_number,
        'mobile' as phone_type_id,
        true as primary_flag,
        {{ clean_text('MailingCountry') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('coral_contact') }}

    from source

),

standardised as (

    {{ with_e164('renamed') }}

)

select * from standardised
