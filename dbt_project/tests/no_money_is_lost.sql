-- What people are worth adds up to the orders that count: no join doubled or dropped one.
{{ config(meta={'dagster': {'ref': {'name': 'lifetime_value'}}}) }}

with

ordered as (

    select
        sum(net_amount_reporting) as amount,
        count(*) as orders

    from {{ ref('unified_sales_order') }}
    where is_counted and unified_individual_id is not null

),

stated as (

    select
        sum(lifetime_value) as amount,
        coalesce(sum(total_orders), 0) as orders

    from {{ ref('lifetime_value') }}

)

select
    ordered.amount as ordered_amount,
    stated.amount as stated_amount,
    ordered.orders as ordered_count,
    stated.orders as stated_count

from ordered
cross join stated
where ordered.amount is distinct from stated.amount or ordered.orders <> stated.orders
