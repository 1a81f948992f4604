with

source as (

    select * from {{ source('dlo', 'shop_customer') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,
        'shipping' as address_type_id,

        ---------- address
        {{ clean_label(json_text('default_address', 'address1')) }} as address_line1,
        {{ clean_label(json_text('default_address', 'address2')) }} as address_line2,
        {{ clean_name(json_text('default_address', 'city')) }} as city_name,
        {{ clean_postal_code(json_text('default_address', 'zip')) }} as postal_code_text,
        {{ clean_label(json_text('default_address', 'province')) }} as state_province_name,
        coalesce(
            {{ json_text('default_address', 'country_code') }},
            {{ json_text('default_address', 'country') }}
        ) as country_typed,

        ---------- provenance
        {{ dmo_tail('shop_customer', created='created_at') }}

    from source

),

located as (

    {{ with_country('renamed') }}

)

select * from located
