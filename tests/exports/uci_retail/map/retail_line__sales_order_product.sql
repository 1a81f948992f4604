{{ config(meta={'as_a_whole': true}) }}

with

lines as (

    {{ retail_lines() }}

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        order_record as sales_order_id,
        'retail_product:' || StockCode as product_id,

        ---------- amounts
        cast(case when is_return then 0 else Quantity end as decimal(18, 4)) as ordered_quantity,
        cast(price as decimal(18, 2)) as unit_price_amount,
        cast(null as decimal(18, 2)) as discount_amount,
        cast(case when is_return then 0 else Quantity * price end as decimal(18, 2))
            as total_line_amount,
        cast(case when is_return then -Quantity else 0 end as decimal(18, 4)) as refunded_quantity,
        'GBP' as currency_code,

        ---------- provenance
        {{ dmo_tail('retail_line', created='InvoiceDate') }}

    from lines

)

select * from renamed
