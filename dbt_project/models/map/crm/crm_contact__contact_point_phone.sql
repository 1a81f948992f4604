with

source as (

    select * from {{ source('dlo', 'crm_contact') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as party_id,

        ---------- numbers
        MobilePhone as mobile_number,
        Phone as business_number,
        {{ clean_text('MailingCountry') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('crm_contact', created='CreatedDate') }}

    from source

),

numbers as (

    select
        * exclude (mobile_number, business_number),
        party_id || '/mobile' as id,
        mobile_number as telephone_number,
        'mobile' as phone_type_id,
        true as primary_flag
    from renamed
    union all
    select
        * exclude (mobile_number, business_number),
        party_id || '/business' as id,
        business_number as telephone_number,
        'business' as phone_type_id,
        mobile_number is null as primary_flag
    from renamed

),

standardised as (

    {{ with_e164('numbers') }}

)

select * from standardised
