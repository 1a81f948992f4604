{{ config(meta={'as_a_whole': true}) }}

with

-- The latest text that is one: clerks write "damaged?" and "lost" in its place.
latest as (

    select
        'retail_product:' || StockCode as id,
        {{ clean_label('Description') }} as name,
        StockCode as product_sku,
        cast(null as varchar) as brand_id,
        cast(null as varchar) as primary_product_category_id,
        min(InvoiceDate) over (partition by StockCode) as first_seen_at,
        _record_id,
        _modified_at,
        max(_load_seq) over (partition by StockCode) as _load_seq

    from ({{ retail_lines() }})
    where StockCode is not null
    qualify
        row_number() over (
            partition by StockCode
            order by price > 0 desc, Description is null, InvoiceDate desc, _record_id
        ) = 1

)

select
    id,
    name,
    product_sku,
    brand_id,
    primary_product_category_id,
    {{ dmo_tail('retail_line', created='first_seen_at') }}
from latest
