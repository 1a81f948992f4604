with

source as (

    select * from {{ source('dlo', 'web_event') }}
    where not _is_deleted and lower(trim(type)) = 'track'

),

named as (

    select
        *,
        {{ snake_case('event') }} as action

    from source

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'shop_customer:' || nullif(trim(userId), '') as individual_id,
        nullif(trim(anonymousId), '') as device_id,

        ---------- event
        timestamp as engagement_date_tm,
        action as engagement_channel_action_id,
        {{ json_text('properties', 'cart_id') }} as shopping_cart_id,
        'shop_product:' || {{ json_text('properties', 'product_id') }} as product_id,
        try_cast({{ json_text('properties', 'quantity') }} as decimal(18, 4)) as quantity,
        try_cast({{ json_text('properties', 'price') }} as decimal(18, 2)) as unit_price_amount,
        upper({{ json_text('properties', 'currency') }}) as currency_code,

        ---------- provenance
        {{ dmo_tail('web_event', created='timestamp') }}

    from named
    where
        action in (
            'product_added', 'product_removed', 'cart_viewed', 'checkout_started',
            'order_completed'
        )

)

select * from renamed
