{{ config(meta={'as_a_whole': true}) }}

with

source as (

    select * from {{ source('dlo', 'shop_order') }}
    where not _is_deleted and test is not true

),

lines as (

    select
        *,
        coalesce(processed_at, created_at) as sold_at,
        unnest({{ parse_line_items('line_items') }}) as line

    from source

),

-- A line keeps the text its product had when it was sold, so the latest sale knows best;
-- the order's own change date would let a late refund bring an old text back.
latest as (

    select
        * replace (max(_load_seq) over (partition by line.product_id) as _load_seq),
        min(created_at) over (partition by line.product_id) as first_sold_at

    from lines
    where line.product_id is not null
    qualify row_number() over (
        partition by line.product_id
        order by sold_at desc nulls last, id desc, line.id desc nulls last, line.title desc
    ) = 1

),

renamed as (

    select
        ---------- ids
        'shop_product:' || line.product_id as id,
        nullif(trim(line.title), '') as name,
        nullif(trim(line.sku), '') as product_sku,
        nullif(trim(line.vendor), '') as brand_id,
        cast(null as varchar) as primary_product_category_id,

        ---------- provenance
        {{ dmo_tail('shop_order', created='first_sold_at', modified='sold_at') }}

    from latest

)

select * from renamed
