{{ config(meta={'as_a_whole': true}) }}

with

-- A number that two customers share is two orders. Only the product knows a price.
orders as (

    select
        sales.OrderNumber,
        sales.CustomerKey,
        min({{ parse_us_date('sales.OrderDate') }}) as OrderDate,
        min(sales.TerritoryKey) as TerritoryKey,
        cast(sum(sales.OrderQuantity * products.ProductPrice) as decimal(18, 2)) as total,
        min(sales._record_id) as _record_id,
        max(sales._modified_at) as _modified_at,
        max(greatest(sales._load_seq, products._load_seq)) as _load_seq

    from {{ source('dlo', 'adventure_sale') }} as sales
    left join {{ source('dlo', 'adventure_product') }} as products
        on sales.ProductKey = products.ProductKey and not products._is_deleted
    where not sales._is_deleted
    group by sales.OrderNumber, sales.CustomerKey

),

renamed as (

    select
        ---------- ids
        'adventure_order:' || OrderNumber || '|' || CustomerKey as id,
        OrderNumber as order_number,
        'adventure_customer:' || CustomerKey as sold_to_customer_id,
        cast(null as varchar) as bill_to_account_id,
        false as is_anonymous,
        cast(null as varchar) as shopping_cart_id,

        ---------- circumstances
        cast(OrderDate as timestamp) as purchase_order_date,
        'fulfilled' as sales_order_status_id,
        'territory ' || TerritoryKey as sales_channel_id,
        'USD' as currency_code,

        ---------- amounts
        total as grand_total_amount,
        total as total_product_amount,
        cast(null as decimal(18, 2)) as total_tax_amount,
        cast(null as decimal(18, 2)) as total_delivery_amount,
        cast(null as decimal(18, 2)) as total_discount_amount,
        cast(0 as decimal(18, 2)) as refunded_amount,
        total as net_amount,

        ---------- provenance
        {{ dmo_tail('adventure_sale', created='OrderDate') }}

    from orders

),

converted as (

    {{ with_exchange_rate('renamed') }}

)

select * from converted
