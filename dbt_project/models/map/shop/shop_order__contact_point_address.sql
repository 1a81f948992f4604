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
        _record_id as id,
        _record_id as party_id,
        'shipping' as address_type_id,

        ---------- address
        {{ clean_label(json_text('shipping_address', 'address1')) }} as address_line1,
        {{ clean_label(json_text('shipping_address', 'address2')) }} as address_line2,
        {{ clean_name(json_text('shipping_address', 'city')) }} as city_name,
        {{ clean_postal_code(json_text('shipping_address', 'zip')) }} as postal_code_text,
        {{ clean_label(json_text('shipping_address', 'province')) }} as state_province_name,
        coalesce(
            {{ json_text('shipping_address', 'country_code') }},
            {{ json_text('shipping_address', 'country') }}
        ) as country_typed,

        ---------- provenance
        {{ dmo_tail('shop_order', created='created_at') }}

    from source

),

located as (

    {{ with_country('renamed') }}

)

select * from located
