with

contacts as (

    select
        unified_account_id,
        count(*) as contact_count

    from {{ ref('unified_account_contact') }}
    group by unified_account_id

),

orders as (

    select
        unified_account_id,
        sum(net_amount_reporting) filter (
            where order_date >= cast({{ as_of() }} as date) - interval 365 day
        ) as revenue_365d,
        max(order_date) as last_order_date

    from {{ ref('unified_sales_order') }}
    where is_counted and unified_account_id is not null
    group by unified_account_id

),

open_cases as (

    select
        link.unified_account_id,
        count(*) as open_case_count

    from {{ ref('case') }} as cases
    inner join {{ source('identity', 'unified_link_account') }} as link
        on cases.account_id = link.record
    where cases.is_open
    group by link.unified_account_id

),

facts as (

    select
        account.unified_account_id,
        coalesce(contacts.contact_count, 0) as contact_count,
        coalesce(open_cases.open_case_count, 0) as open_case_count,
        cast(coalesce(orders.revenue_365d, 0) as decimal(18, 2)) as revenue_365d,
        cast(orders.last_order_date as date) as last_order_date,
        {{ days_between('orders.last_order_date', as_of()) }} as days_since_last_order

    from {{ ref('unified_account') }} as account
    left join contacts on account.unified_account_id = contacts.unified_account_id
    left join orders on account.unified_account_id = orders.unified_account_id
    left join open_cases on account.unified_account_id = open_cases.unified_account_id

),

scored as (

    select
        *,
        case
            when days_since_last_order <= 90 then 40
            when days_since_last_order <= 365 then 20
            else 0
        end
        + case when revenue_365d > 0 then 20 else 0 end
        + least(contact_count, 2) * 10
        + greatest(20 - 10 * open_case_count, 0) as account_health_score

    from facts

)

select
    unified_account_id,
    account_health_score,
    case
        when account_health_score >= 70 then 'healthy'
        when account_health_score >= 40 then 'watch'
        else 'at_risk'
    end as account_health_tier,
    contact_count,
    open_case_count,
    revenue_365d,
    last_order_date

from scored
