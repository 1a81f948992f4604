with

source as (

    select * from {{ source('dlo', 'support_user') }}
    where not _is_deleted and role = 'end-user'

),

renamed as (

    select
        ---------- ids
        _record_id || '/shop_customer_id' as id,
        _record_id as party_id,

        ---------- identification
        {{ clean_text('external_id') }} as identification_number,
        'Shopify' as identification_name,
        'shop_customer_id' as party_identification_type_id,

        ---------- provenance
        {{ dmo_tail('support_user', created='created_at') }}

    from source

)

select * from renamed
where identification_number is not null
