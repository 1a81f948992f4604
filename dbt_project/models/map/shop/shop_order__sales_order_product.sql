{#- Its groups never reach beyond one order. -#}
{{ config(meta={'as_a_whole': false}) }}

with

source as (

    select * from {{ source('dlo', 'shop_order') }}
    where not _is_deleted and test is not true

),

exploded as (

    select
        *,
        unnest({{ parse_line_items('line_items') }}) as line,
        generate_subscripts({{ parse_line_items('line_items') }}, 1) as position

    from source

),

lines as (

    select
        *,
        line.id as line_item_id,
        line.product_id,
        line.quantity,
        line.price,
        coalesce(line.total_discount, 0) as discount

    from exploded
    where line is not null

),

refunds as (

    select
        _record_id as sales_order_id,
        unnest({{ parse_refunds('refunds') }}) as refund

    from source

),

refunded_lines as (

    select
        sales_order_id,
        unnest(refund.refund_line_items) as line

    from refunds

),

refunded as (

    select
        sales_order_id,
        line.line_item_id,
        -- Some exports write what came back below zero.
        sum(abs(line.quantity)) as quantity

    from refunded_lines
    group by all

),

renamed as (

    select
        ---------- ids
        -- A line without an id of its own is told apart by where it stands.
        lines._record_id || '|' || coalesce(lines.line_item_id, '#' || lines.position) as id,
        lines._record_id as sales_order_id,
        'shop_product:' || lines.product_id as product_id,

        ---------- amounts
        lines.quantity as ordered_quantity,
        cast(lines.price as decimal(18, 2)) as unit_price_amount,
        cast(lines.discount as decimal(18, 2)) as discount_amount,
        -- A product of two typing errors may be no amount: null, which a test reports.
        try_cast(
            lines.price * lines.quantity - lines.discount as decimal(18, 2)
        ) as total_line_amount,
        try_cast(coalesce(refunded.quantity, 0) as decimal(18, 4)) as refunded_quantity,
        upper(trim(lines.currency)) as currency_code,

        ---------- provenance
        {{ dmo_tail('shop_order', created='created_at') }}

    from lines
    left join refunded
        on
            lines._record_id = refunded.sales_order_id
            and lines.line_item_id = refunded.line_item_id

)

select * from renamed
