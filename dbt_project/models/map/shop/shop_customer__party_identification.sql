with

source as (

    select * from {{ source('dlo', 'shop_customer') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id || '/shop_customer_id' as id,
        _record_id as party_id,

        ---------- identification
        cast(id as varchar) as identification_number,
        'Shopify' as identification_name,
        'shop_customer_id' as party_identification_type_id,

        ---------- provenance
        {{ dmo_tail('shop_customer', created='created_at') }}

    from source

)

select * from renamed
where identification_number is not null
