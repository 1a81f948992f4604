{{ config(meta={'as_a_whole': true}) }}

with

source as (

    select * from {{ source('dlo', 'erp_vbak') }}
    where not _is_deleted

),

-- An item that was rejected (ABGRU) is neither delivered nor billed.
items as (

    select
        MANDT,
        VBELN,
        sum(NETWR) filter (where nullif(trim(ABGRU), '') is null) as counted_value,
        count(*) filter (where nullif(trim(ABGRU), '') is null) as counted_items,
        max(_load_seq) as _load_seq

    from {{ source('dlo', 'erp_vbap') }}
    where not _is_deleted
    group by all

),

documents as (

    select
        source.* replace (
            greatest(source._load_seq, items._load_seq) as _load_seq,
            upper(trim(source.WAERK)) as WAERK
        ),
        coalesce(source.AUART = 'RE', false) as is_return,
        coalesce(source.ABSTK = 'C' or items.counted_items = 0, false) as is_cancelled,
        -- A header whose items have not come yet stands with its own value.
        case
            when items.VBELN is null then source.NETWR
            else coalesce(items.counted_value, 0)
        end as counted_value

    from source
    left join items
        on source.MANDT = items.MANDT and source.VBELN = items.VBELN

),

-- A return credits the order it names, in the currency of that order.
credits as (

    select
        returns._record_id as return_record,
        orders._record_id as order_record,
        case when returns.is_cancelled then 0 else abs(returns.counted_value) end as value,
        returns._modified_at,
        returns._load_seq

    from documents as returns
    inner join documents as orders
        on
            returns.MANDT = orders.MANDT
            and returns.VGBEL = orders.VBELN
            and returns.WAERK is not distinct from orders.WAERK
    where returns.is_return and not orders.is_return

),

credited as (

    select
        order_record,
        sum(value) as value,
        max(_modified_at) as _modified_at,
        max(_load_seq) as _load_seq

    from credits
    group by all

),

-- Every document becomes a row of its own, but for the returns an order took in. A return
-- of an order we do not know sells nothing and gives back its value.
kept as (

    select
        documents.* replace (
            greatest(documents._load_seq, credited._load_seq) as _load_seq,
            greatest(documents._modified_at, credited._modified_at) as _modified_at
        ),
        case when documents.is_return then 0 else documents.counted_value end as gross_value,
        case
            when documents.is_return and documents.is_cancelled then 0
            when documents.is_return then coalesce(abs(documents.counted_value), 0)
            else coalesce(credited.value, 0)
        end as returned_value

    from documents
    left join credited on documents._record_id = credited.order_record
    where documents._record_id not in (select credits.return_record from credits)

),

organisations as (

    select
        MANDT,
        KUNNR,
        _record_id as record

    from {{ source('dlo', 'erp_kna1') }}
    where not _is_deleted and STKZN is distinct from 'X'

),

renamed as (

    select
        ---------- ids
        kept._record_id as id,
        kept.VBELN as order_number,
        'erp_kna1:' || kept.MANDT || '|' || kept.KUNNR as sold_to_customer_id,
        organisations.record as bill_to_account_id,
        false as is_anonymous,
        cast(null as varchar) as shopping_cart_id,

        ---------- circumstances
        cast(coalesce(kept.AUDAT, kept.ERDAT) as timestamp) as purchase_order_date,
        kept.VTWEG as sales_channel_id,
        kept.WAERK as currency_code,
        kept.is_cancelled,
        kept.is_return,
        kept.GBSTK,

        ---------- amounts
        cast(kept.gross_value as decimal(18, 2)) as grand_total_amount,
        cast(kept.gross_value as decimal(18, 2)) as total_product_amount,
        cast(null as decimal(18, 2)) as total_tax_amount,
        cast(null as decimal(18, 2)) as total_delivery_amount,
        cast(null as decimal(18, 2)) as total_discount_amount,
        cast(kept.returned_value as decimal(18, 2)) as refunded_amount,

        ---------- provenance
        {{ dmo_tail('erp_vbak', created='kept.ERDAT') }}

    from kept
    left join organisations
        on kept.MANDT = organisations.MANDT and kept.KUNNR = organisations.KUNNR

),

judged as (

    select
        *,
        case
            when is_cancelled then 'cancelled'
            when is_return then 'returned'
            when refunded_amount > 0 and refunded_amount >= grand_total_amount then 'returned'
            when refunded_amount > 0 then 'partially_returned'
            when GBSTK = 'C' then 'fulfilled'
            else 'open'
        end as sales_order_status_id

    from renamed

),

valued as (

    select
        *,
        -- greatest() skips nulls: an unknown total must not become an order of zero.
        cast(
            case
                when sales_order_status_id in ('cancelled', 'returned') then 0
                when grand_total_amount is null then null
                else greatest(grand_total_amount - refunded_amount, 0)
            end as decimal(18, 2)
        ) as net_amount

    from judged

),

converted as (

    {{ with_exchange_rate('valued') }}

)

select * exclude (is_cancelled, is_return, GBSTK) from converted
