{{ config(materialized='view') }}

select
    ---------- ids
    orders.id as sales_order_id,
    orders.sold_to_customer_id,
    buyer.unified_individual_id,
    coalesce(payer.unified_account_id, company.unified_account_id) as unified_account_id,

    ---------- circumstances
    orders.purchase_order_date as order_date,
    orders.sales_order_status_id,
    coalesce(orders.sales_order_status_id not in ('cancelled', 'returned'), true)
    and coalesce(orders.purchase_order_date <= {{ as_of() }}, true) as is_counted,

    ---------- amounts
    orders.currency_code,
    orders.net_amount,
    orders.net_amount_reporting

from {{ ref('sales_order') }} as orders
left join {{ ref('unified_record') }} as buyer
    on orders.sold_to_customer_id = buyer.record
left join {{ source('identity', 'unified_link_account') }} as payer
    on orders.bill_to_account_id = payer.record
left join {{ source('identity', 'unified_link_account') }} as company
    on orders.sold_to_customer_id = company.record
