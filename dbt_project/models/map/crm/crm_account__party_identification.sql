with

source as (

    select * from {{ source('dlo', 'crm_account') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id || '/customer_number' as id,
        _record_id as party_id,

        ---------- identification
        {{ sap_customer_number('AccountNumber') }} as identification_number,
        'SAP KUNNR' as identification_name,
        'customer_number' as party_identification_type_id,

        ---------- provenance
        {{ dmo_tail('crm_account', created='CreatedDate') }}

    from source

)

select * from renamed
where identification_number is not null
