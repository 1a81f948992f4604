{{ config(materialized='view') }}

with

email as (

    select
        id,
        individual_id,
        case engagement_channel_action_id
            when 'sent' then 'EmailSent'
            when 'open' then 'EmailOpen'
            when 'click' then 'EmailClick'
            when 'bounce' then 'EmailBounce'
            when 'unsubscribe' then 'EmailUnsubscribe'
            when 'complaint' then 'EmailComplaint'
        end as event_type,
        engagement_date_tm as event_date,
        {{ tail_columns() }}

    from {{ ref('email_engagement') }}
    where engagement_channel_action_id <> 'other'

),

page_views as (

    select
        id,
        individual_id,
        device_id,
        'WebVisit' as event_type,
        engagement_date_tm as event_date,
        {{ tail_columns() }}

    from {{ ref('website_engagement') }}
    where engagement_channel_action_id = 'page'

),

-- order_completed is left out: the order itself is the purchase.
carts as (

    select
        id,
        individual_id,
        device_id,
        case engagement_channel_action_id
            when 'product_added' then 'CartAdd'
            when 'product_removed' then 'CartRemove'
            when 'cart_viewed' then 'CartView'
            when 'checkout_started' then 'CheckoutStart'
        end as event_type,
        engagement_date_tm as event_date,
        {{ tail_columns() }}

    from {{ ref('shopping_cart_engagement') }}
    where engagement_channel_action_id <> 'order_completed'

),

-- What an organisation buys engages no person, and a return of an unknown order sells
-- nothing.
purchases as (

    select
        id,
        case when bill_to_account_id is null then sold_to_customer_id end as individual_id,
        'Purchase' as event_type,
        purchase_order_date as event_date,
        {{ tail_columns() }}

    from {{ ref('sales_order') }}
    where
        sales_order_status_id <> 'cancelled'
        and (grand_total_amount = 0 and refunded_amount > 0) is not true

),

web as (

    select * from page_views
    union all
    select * from carts

),

devices as (

    select
        device_id,
        individual_id,
        coalesce(active_from_date, cast('-infinity' as timestamp)) as active_from_date,
        active_to_date

    from {{ ref('device') }}

),

-- The intervals of a device do not overlap, so the last one begun is the only candidate:
-- an as-of join, linear in the events, whatever the number of logins.
attributed as (

    select
        web.id,
        case
            when web.individual_id is not null then web.individual_id
            when
                devices.active_to_date is null or web.event_date < devices.active_to_date
                then devices.individual_id
        end as individual_id,
        web.event_type,
        web.event_date,
        {{ tail_columns('web') }}

    from web
    asof left join devices
        on
            web.device_id = devices.device_id
            and web.event_date >= devices.active_from_date

)

select * from email
union all
select * from attributed
union all
select * from purchases
