{{ config(alias='SalesOrder') }}

select
    sales_order_id as Id,
    sold_to_customer_id as CustomerId,
    net_amount_reporting as TotalAmount,
    order_date as OrderDate

from {{ ref('unified_sales_order') }}
where is_counted
