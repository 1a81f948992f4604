with

source as (

    select * from {{ source('dlo', 'shop_order') }}
    where
        not _is_deleted
        and test is not true
        and {{ json_text('customer', 'id') }} is null

),

renamed as (

    select
        ---------- ids
        _record_id || '/shipping' as id,
        _record_id as party_id,

        ---------- number
        coalesce(
            nullif({{ json_text('shipping_address', 'phone') }}, ''), phone
        ) as telephone_number,
        {{ json_text('shipping_address', 'country_code') }} as country_typed,
        'shipping' as phone_type_id,
        true as primary_flag,

        ---------- provenance
        {{ dmo_tail('shop_order', created='created_at') }}

    from source

),

standardised as (

    {{ with_e164('renamed') }}

)

select * from standardised
