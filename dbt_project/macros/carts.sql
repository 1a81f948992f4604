{#- Cart events with the person's record that they belong to: two expressions of a with. -#}
{% macro attributed_carts() -%}
devices as (

    select
        device_id,
        individual_id,
        coalesce(active_from_date, cast('-infinity' as timestamp)) as active_from_date,
        active_to_date

    from {{ ref('device') }}

),

-- An anonymous cart is that of whoever was logged in on the device at the time.
attributed as (

    select
        cart.id,
        cart.shopping_cart_id,
        cart.engagement_date_tm,
        cart.engagement_channel_action_id,
        cart.product_id,
        cart.quantity,
        cart.unit_price_amount,
        cart.currency_code,
        case
            when cart.individual_id is not null then cart.individual_id
            when
                devices.active_to_date is null
                or cart.engagement_date_tm < devices.active_to_date
                then devices.individual_id
        end as individual_id

    from {{ ref('shopping_cart_engagement') }} as cart
    asof left join devices
        on
            cart.device_id = devices.device_id
            and cart.engagement_date_tm >= devices.active_from_date
    where cart.engagement_date_tm <= {{ as_of() }}

)
{%- endmacro %}
