with

source as (

    select * from {{ source('dlo', 'shop_customer') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as party_id,

        ---------- numbers
        phone as account_number,
        {{ json_text('default_address', 'phone') }} as shipping_number,
        {{ json_text('default_address', 'country_code') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('shop_customer', created='created_at') }}

    from source

),

numbers as (

    select
        * exclude (account_number, shipping_number),
        party_id || '/account' as id,
        account_number as telephone_number,
        'account' as phone_type_id,
        true as primary_flag
    from renamed
    union all
    select
        * exclude (account_number, shipping_number),
        party_id || '/shipping' as id,
        shipping_number as telephone_number,
        'shipping' as phone_type_id,
        account_number is null as primary_flag
    from renamed

),

standardised as (

    {{ with_e164('numbers') }}

)

select * from standardised
