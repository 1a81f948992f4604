{{ config(meta={
    'changes_with': {
        'finance_exchange_rate': '''upper(trim(record.currency)) = upper(trim(changed.currency_code))
            and cast(coalesce(record.processed_at, record.created_at) as date) >= changed.rate_date'''
    }
}) }}

with

source as (

    select * from {{ source('dlo', 'shop_order') }}
    where not _is_deleted and test is not true

),

parsed as (

    select
        *,
        {{ json_text('customer', 'id') }} as customer_id,
        {{ refunded_total(parse_refunds('refunds')) }} as listed_refunds

    from source

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        coalesce(name, cast(order_number as varchar)) as order_number,
        case
            when customer_id is not null then 'shop_customer:' || customer_id
            else _record_id
        end as sold_to_customer_id,
        cast(null as varchar) as bill_to_account_id,
        customer_id is null as is_anonymous,
        cart_token as shopping_cart_id,

        ---------- circumstances
        coalesce(processed_at, created_at) as purchase_order_date,
        source_name as sales_channel_id,
        upper(trim(currency)) as currency_code,
        cancelled_at is not null
        or coalesce(financial_status = 'voided', false) as is_cancelled,
        financial_status,
        fulfillment_status,

        ---------- amounts
        cast(total_price as decimal(18, 2)) as grand_total_amount,
        cast(subtotal_price as decimal(18, 2)) as total_product_amount,
        cast(total_tax as decimal(18, 2)) as total_tax_amount,
        cast(total_shipping_price as decimal(18, 2)) as total_delivery_amount,
        cast(total_discounts as decimal(18, 2)) as total_discount_amount,
        cast(
            case
                when financial_status = 'refunded' and listed_refunds = 0
                    then greatest(coalesce(total_price, 0), 0)
                else listed_refunds
            end as decimal(18, 2)
        ) as refunded_amount,

        ---------- provenance
        {{ dmo_tail('shop_order', created='created_at') }}

    from parsed

),

judged as (

    select
        *,
        case
            when is_cancelled then 'cancelled'
            when
                financial_status = 'refunded'
                or (refunded_amount > 0 and refunded_amount >= grand_total_amount)
                then 'returned'
            when
                financial_status = 'partially_refunded' or refunded_amount > 0
                then 'partially_returned'
            when fulfillment_status = 'fulfilled' then 'fulfilled'
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

select * exclude (is_cancelled, financial_status, fulfillment_status) from converted
