with

orders as (

    select
        unified_individual_id,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        count(distinct cast(order_date as date)) as order_days

    from {{ ref('unified_sales_order') }}
    where is_counted and unified_individual_id is not null and order_date is not null
    group by unified_individual_id

),

-- One assumed interval of 90 days beside the person's own: a single gap of two days does
-- not make a customer who buys every other day.
rhythm as (

    select
        orders.unified_individual_id,
        {{ days_between('orders.last_order_date', as_of()) }} as days_since_last_order,
        {{ days_between('engagement.last_engagement_date', as_of()) }}
            as days_since_last_engagement,
        ({{ days_between('orders.first_order_date', 'orders.last_order_date') }} + 90)
        / orders.order_days as expected_order_interval_days

    from orders
    left join {{ ref('engagement_score') }} as engagement
        on orders.unified_individual_id = engagement.unified_individual_id

),

scored as (

    select
        *,
        cast(
            (1 - pow(0.5, days_since_last_order / expected_order_interval_days / 2))
            * (1 - coalesce(0.5 * pow(0.5, days_since_last_engagement / 30), 0))
            as decimal(5, 4)
        ) as churn_risk_score

    from rhythm

)

select
    unified_individual_id,
    churn_risk_score,
    case
        when churn_risk_score >= 0.7 then 'high'
        when churn_risk_score >= 0.4 then 'medium'
        else 'low'
    end as churn_risk_tier,
    days_since_last_order,
    days_since_last_engagement,
    cast(expected_order_interval_days as decimal(9, 2)) as expected_order_interval_days

from scored
