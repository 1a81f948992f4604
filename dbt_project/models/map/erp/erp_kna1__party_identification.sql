with

source as (

    select * from {{ source('dlo', 'erp_kna1') }}
    where not _is_deleted

),

numbers as (

    select
        *,
        {{ sap_customer_number('KUNNR') }} as identification_number,
        'SAP KUNNR' as identification_name,
        'customer_number' as party_identification_type_id
    from source
    union all
    select
        *,
        {{ clean_label('STCD1') }} as identification_number,
        'SAP STCD1' as identification_name,
        'tax_number' as party_identification_type_id
    from source

),

renamed as (

    select
        ---------- ids
        _record_id || '/' || party_identification_type_id as id,
        _record_id as party_id,

        ---------- identification
        identification_number,
        identification_name,
        party_identification_type_id,

        ---------- provenance
        {{ dmo_tail('erp_kna1', created='ERDAT') }}

    from numbers

)

select * from renamed
where identification_number is not null
