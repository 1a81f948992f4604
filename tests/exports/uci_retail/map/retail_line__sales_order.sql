{{ config(meta={'as_a_whole': true}) }}

with

invoices as (

    select
        order_record,
        invoice,
        is_return,
        max(customer_record) as customer_record,
        min(InvoiceDate) as InvoiceDate,
        min(Country) as Country,
        sum(Quantity * price) as total,
        min_by(_record_id, _record_id) as _record_id,
        max(_modified_at) as _modified_at,
        max(_load_seq) as _load_seq

    from ({{ retail_lines() }})
    group by order_record, invoice, is_return

),

renamed as (

    select
        ---------- ids
        order_record as id,
        invoice as order_number,
        coalesce(customer_record, order_record) as sold_to_customer_id,
        cast(null as varchar) as bill_to_account_id,
        customer_record is null as is_anonymous,
        cast(null as varchar) as shopping_cart_id,

        ---------- circumstances
        InvoiceDate at time zone 'Europe/London' at time zone 'UTC' as purchase_order_date,
        case when is_return then 'returned' else 'fulfilled' end as sales_order_status_id,
        'web' as sales_channel_id,
        'GBP' as currency_code,

        ---------- amounts
        -- A return names no order: it sells nothing and gives back its value.
        cast(case when is_return then 0 else total end as decimal(18, 2)) as grand_total_amount,
        cast(case when is_return then 0 else total end as decimal(18, 2)) as total_product_amount,
        cast(null as decimal(18, 2)) as total_tax_amount,
        cast(null as decimal(18, 2)) as total_delivery_amount,
        cast(null as decimal(18, 2)) as total_discount_amount,
        cast(case when is_return then -total else 0 end as decimal(18, 2)) as refunded_amount,
        cast(case when is_return then 0 else total end as decimal(18, 2)) as net_amount,

        ---------- provenance
        {{ dmo_tail('retail_line', created='InvoiceDate') }}

    from invoices

),

converted as (

    {{ with_exchange_rate('renamed') }}

)

select * from converted
