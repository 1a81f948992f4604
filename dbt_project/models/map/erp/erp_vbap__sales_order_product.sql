{{ config(meta={'as_a_whole': true}) }}

with

headers as (

    select
        MANDT,
        VBELN,
        VGBEL,
        _record_id as sales_order_id,
        ERDAT,
        upper(trim(WAERK)) as WAERK,
        coalesce(AUART = 'RE', false) as is_return,
        coalesce(ABSTK = 'C', false) as is_cancelled

    from {{ source('dlo', 'erp_vbak') }}
    where not _is_deleted

),

-- An item that was rejected (ABGRU) does not count, and one whose header has not come yet
-- waits for it.
items as (

    select
        items.* replace (upper(trim(items.WAERK)) as WAERK),
        headers.VGBEL,
        headers.sales_order_id,
        headers.ERDAT,
        headers.is_return,
        headers.is_cancelled,
        headers.WAERK as header_waerk

    from {{ source('dlo', 'erp_vbap') }} as items
    inner join headers
        on items.MANDT = headers.MANDT and items.VBELN = headers.VBELN
    where not items._is_deleted and nullif(trim(items.ABGRU), '') is null

),

orders as (

    select
        MANDT,
        VBELN,
        WAERK

    from headers
    where not is_return

),

returned_items as (

    select
        items.*,
        orders.VBELN as credited_vbeln

    from items
    left join orders
        on
            items.MANDT = orders.MANDT
            and items.VGBEL = orders.VBELN
            and items.header_waerk is not distinct from orders.WAERK
    where items.is_return

),

returned as (

    select
        MANDT,
        credited_vbeln as VBELN,
        MATNR,
        sum(abs(KWMENG)) as quantity,
        max(_load_seq) as _load_seq

    from returned_items
    where credited_vbeln is not null and not is_cancelled
    group by all

),

ordered as (

    select
        *,
        sum(KWMENG) over (partition by MANDT, VBELN, MATNR order by POSNR) as ordered_so_far

    from items
    where not is_return

),

-- Returns name an order and a material, not a line: the lines with that material take them
-- in their own order, none more than was sold on it.
sold as (

    select
        ordered.* replace (greatest(ordered._load_seq, returned._load_seq) as _load_seq),
        case
            when returned.quantity is null then 0
            else greatest(
                least(
                    ordered.KWMENG,
                    returned.quantity - ordered.ordered_so_far + ordered.KWMENG
                ),
                0
            )
        end as refunded_quantity

    from ordered
    left join returned
        on
            ordered.MANDT = returned.MANDT
            and ordered.VBELN = returned.VBELN
            and ordered.MATNR = returned.MATNR

),

-- Returns of orders we do not know keep their items: nothing sold, this much came back.
returned_alone as (

    select
        * exclude (credited_vbeln) replace (
            cast(0 as decimal(18, 4)) as KWMENG,
            cast(0 as decimal(18, 4)) as NETWR
        ),
        case when is_cancelled then 0 else abs(KWMENG) end as refunded_quantity

    from returned_items
    where credited_vbeln is null

),

lines as (

    select * from sold
    union all by name
    select * from returned_alone

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        sales_order_id,
        'erp_material:' || nullif(trim(MATNR), '') as product_id,

        ---------- amounts
        KWMENG as ordered_quantity,
        cast(NETPR as decimal(18, 2)) as unit_price_amount,
        cast(null as decimal(18, 2)) as discount_amount,
        cast(NETWR as decimal(18, 2)) as total_line_amount,
        cast(refunded_quantity as decimal(18, 4)) as refunded_quantity,
        coalesce(WAERK, header_waerk) as currency_code,

        ---------- provenance
        {{ dmo_tail('erp_vbap', created='ERDAT') }}

    from lines

)

select * from renamed
