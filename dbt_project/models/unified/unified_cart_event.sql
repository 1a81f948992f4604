{{ config(materialized='view') }}

with

{{ attributed_carts() }}

select
    attributed.id as cart_event_id,
    link.unified_individual_id,
    attributed.engagement_channel_action_id as event_type,
    attributed.engagement_date_tm as event_date,
    attributed.shopping_cart_id,
    attributed.currency_code,
    cast(
        coalesce(attributed.quantity, 1) * attributed.unit_price_amount
        * case attributed.engagement_channel_action_id
            when 'product_added' then 1
            when 'product_removed' then -1
        end as decimal(18, 2)
    ) as amount

from attributed
inner join {{ ref('unified_record') }} as link
    on attributed.individual_id = link.record
