{#- The lines of both exports, an invoice that both hold once, and only of what is an order
    or its return: A… corrects a bad debt, and an invoice on which nothing has a price books
    goods in or out of stock. -#}
{% macro retail_lines() -%}
    select
        *,
        -- One of 4,592 credits takes money: that sold something.
        starts_with(invoice, 'C')
        and sum(Quantity * price) over (partition by invoice) <= 0 as is_return,
        'retail_invoice:' || invoice as order_record,
        'retail_customer:' || customer_id as customer_record
    from (
        select
            Invoice as invoice,
            StockCode,
            Description,
            Quantity,
            InvoiceDate,
            Price as price,
            customer_id,
            Country,
            _record_id,
            _modified_at,
            _load_seq
        from {{ source('dlo', 'retail_line') }}
        where not _is_deleted
        union all
        select
            InvoiceNo,
            StockCode,
            Description,
            Quantity,
            InvoiceDate,
            UnitPrice,
            nullif(CustomerID, 0),
            Country,
            _record_id,
            _modified_at,
            _load_seq
        from {{ source('dlo', 'retail_sale') }}
        where
            not _is_deleted
            and InvoiceNo not in (
                select earlier.Invoice from {{ source('dlo', 'retail_line') }} as earlier
            )
    )
    where not starts_with(invoice, 'A')
    qualify max(price) over (partition by invoice) > 0
{%- endmacro %}
