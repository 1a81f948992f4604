with

{{ attributed_carts() }},

events as (

    select
        link.unified_individual_id,
        attributed.id,
        attributed.shopping_cart_id,
        attributed.engagement_date_tm,
        attributed.engagement_channel_action_id,
        attributed.product_id,
        attributed.quantity,
        attributed.unit_price_amount,
        attributed.currency_code

    from attributed
    inner join {{ ref('unified_record') }} as link
        on attributed.individual_id = link.record

),

-- The cart a person touched last, and their last order wherever it was placed from.
current_carts as (

    select
        unified_individual_id,
        arg_max(shopping_cart_id, row(engagement_date_tm, shopping_cart_id)) filter (
            where
            shopping_cart_id is not null
            and engagement_channel_action_id <> 'order_completed'
        ) as shopping_cart_id,
        max(engagement_date_tm) filter (
            where engagement_channel_action_id = 'order_completed'
        ) as last_completed_date

    from events
    group by unified_individual_id

),

cart_events as (

    select events.*
    from events
    inner join current_carts
        on
            events.unified_individual_id = current_carts.unified_individual_id
            and events.shopping_cart_id = current_carts.shopping_cart_id

),

carts as (

    select
        unified_individual_id,
        shopping_cart_id,
        max(engagement_date_tm) filter (
            where engagement_channel_action_id <> 'order_completed'
        ) as last_cart_event_date,
        arg_max(currency_code, row(engagement_date_tm, id)) as cart_currency_code,
        bool_or(engagement_channel_action_id = 'order_completed') as is_completed

    from cart_events
    group by unified_individual_id, shopping_cart_id

),

-- What was added and not taken out again, at its latest price.
cart_lines as (

    select
        unified_individual_id,
        product_id,
        arg_max(currency_code, row(engagement_date_tm, id)) as currency_code,
        sum(
            case
                when engagement_channel_action_id = 'product_added' then coalesce(quantity, 1)
                else -coalesce(quantity, 1)
            end
        ) as quantity,
        arg_max(unit_price_amount, row(engagement_date_tm, id)) as unit_price_amount

    from cart_events
    where engagement_channel_action_id in ('product_added', 'product_removed')
    group by unified_individual_id, product_id

),

contents as (

    select
        carts.unified_individual_id,
        sum(cart_lines.quantity * cart_lines.unit_price_amount) filter (
            where cart_lines.currency_code = carts.cart_currency_code
        ) as cart_value

    from carts
    inner join cart_lines on carts.unified_individual_id = cart_lines.unified_individual_id
    where cart_lines.quantity > 0
    group by carts.unified_individual_id

),

ordered_carts as (

    select distinct shopping_cart_id
    from {{ ref('sales_order') }}
    where shopping_cart_id is not null and purchase_order_date <= {{ as_of() }}

),

judged as (

    select
        carts.*,
        contents.cart_value,
        contents.unified_individual_id is not null
        and not carts.is_completed
        and ordered_carts.shopping_cart_id is null
        and coalesce(current_carts.last_completed_date < carts.last_cart_event_date, true)
            as is_open

    from carts
    inner join current_carts
        on carts.unified_individual_id = current_carts.unified_individual_id
    left join contents on carts.unified_individual_id = contents.unified_individual_id
    left join ordered_carts on carts.shopping_cart_id = ordered_carts.shopping_cart_id

)

select
    unified_individual_id,
    shopping_cart_id,
    cast(case when is_open then coalesce(cart_value, 0) else 0 end as decimal(18, 2))
        as cart_value,
    cart_currency_code,
    last_cart_event_date,
    is_open
    and last_cart_event_date < {{ as_of() }} - interval 1 hour
    and last_cart_event_date > {{ as_of() }} - interval 30 day as is_abandoned

from judged
