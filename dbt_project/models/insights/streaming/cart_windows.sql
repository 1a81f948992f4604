{%- set windows = {'hour': 'sliding 1 hour', 'day': 'sliding 24 hours'} -%}
{{ streaming(windows, happened_at='event_date') }}

with

sums as (

    select
        unified_individual_id,
        currency_code,
        sum(amount) filter (where in_hour) as cart_value_1h,
        sum(amount) filter (where in_day) as cart_value_24h,
        count(*) filter (where in_hour) as cart_events_1h,
        max(event_date) as last_cart_event_date

    from {{ windowed_events(ref('unified_cart_event'), windows, 'event_date') }} as events
    group by unified_individual_id, currency_code

)

-- Amounts of two currencies make no sum: that of the cart touched last stands.
select
    unified_individual_id,
    currency_code,
    cast(cart_value_1h as decimal(18, 2)) as cart_value_1h,
    cast(cart_value_24h as decimal(18, 2)) as cart_value_24h,
    cart_events_1h,
    last_cart_event_date

from sums
qualify
    row_number() over (
        partition by unified_individual_id
        order by last_cart_event_date desc, currency_code asc nulls last
    ) = 1
