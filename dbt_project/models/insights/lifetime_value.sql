with

orders as (

    select * from {{ ref('unified_sales_order') }}
    where is_counted and unified_individual_id is not null

),

totals as (

    select
        unified_individual_id,
        sum(net_amount_reporting) as lifetime_value,
        count(*) as total_orders,
        avg(net_amount_reporting) as avg_order_value,
        count(*) filter (where net_amount_reporting is null) as orders_without_rate,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date

    from orders
    group by unified_individual_id

),

currencies as (

    select
        unified_individual_id,
        coalesce(currency_code, 'unknown') as currency_code,
        sum(net_amount) as amount

    from orders
    where net_amount is not null
    group by unified_individual_id, coalesce(currency_code, 'unknown')

),

amounts as (

    select
        unified_individual_id,
        to_json(
            map_from_entries(list((currency_code, amount) order by currency_code))
        ) as lifetime_value_by_currency

    from currencies
    group by unified_individual_id

)

select
    totals.unified_individual_id,
    cast(totals.lifetime_value as decimal(18, 2)) as lifetime_value,
    totals.total_orders,
    cast(totals.avg_order_value as decimal(18, 2)) as avg_order_value,
    cast(totals.first_order_date as date) as first_order_date,
    cast(totals.last_order_date as date) as last_order_date,
    {{ days_between('totals.first_order_date', as_of()) }} as customer_tenure_days,
    coalesce(amounts.lifetime_value_by_currency, cast('{}' as json))
        as lifetime_value_by_currency,
    totals.orders_without_rate

from totals
left join amounts on totals.unified_individual_id = amounts.unified_individual_id
