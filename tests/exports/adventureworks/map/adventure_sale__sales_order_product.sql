{{ config(meta={'as_a_whole': true}) }}

with

lines as (

    select
        sales.*,
        products._record_id as product_id,
        products.ProductPrice

    from {{ source('dlo', 'adventure_sale') }} as sales
    left join {{ source('dlo', 'adventure_product') }} as products
        on sales.ProductKey = products.ProductKey and not products._is_deleted
    where not sales._is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'adventure_order:' || OrderNumber || '|' || CustomerKey as sales_order_id,
        product_id,

        ---------- amounts
        cast(OrderQuantity as decimal(18, 4)) as ordered_quantity,
        cast(ProductPrice as decimal(18, 2)) as unit_price_amount,
        cast(null as decimal(18, 2)) as discount_amount,
        cast(OrderQuantity * ProductPrice as decimal(18, 2)) as total_line_amount,
        cast(0 as decimal(18, 4)) as refunded_quantity,
        'USD' as currency_code,

        ---------- provenance
        {{ dmo_tail('adventure_sale', created=parse_us_date('OrderDate')) }}

    from lines

)

select * from renamed
