{#- Orders: what the shop keeps as nested JSON, and amounts in the reporting currency. -#}

{#- A shop order's refunds as a list of structs; anything unreadable in it is null. -#}
{% macro parse_refunds(column) -%}
    from_json(
        {{ column }},
        '[{
            "refund_line_items": [
                {"line_item_id": "varchar", "quantity": "decimal(18,4)", "subtotal": "decimal(18,4)"}
            ],
            "transactions": [
                {"amount": "decimal(18,4)", "kind": "varchar", "status": "varchar"}
            ]
        }]'
    )
{%- endmacro %}

{#- A shop order's line items as a list of structs; anything unreadable in it is null. -#}
{% macro parse_line_items(column) -%}
    from_json(
        {{ column }},
        '[{
            "id": "varchar", "product_id": "varchar", "sku": "varchar", "title": "varchar",
            "vendor": "varchar", "quantity": "decimal(18,4)", "price": "decimal(18,4)",
            "total_discount": "decimal(18,4)"
        }]'
    )
{%- endmacro %}

{#- The money a list of parsed refunds gave back. A refund's transactions say what was
    paid; one without any (a gift card, an exchange) is worth the lines it took back. A
    transaction that failed, or only released an authorisation, paid nothing. Some exports
    write what was paid back below zero. -#}
{% macro refunded_total(refunds) -%}
    coalesce(
        list_sum(
            list_transform(
                {{ refunds }},
                lambda refund: case
                    when len(refund.transactions) > 0
                        then list_sum(
                            list_transform(
                                list_filter(
                                    refund.transactions,
                                    lambda paid: coalesce(paid.kind, 'refund') = 'refund'
                                    and coalesce(paid.status, 'success') = 'success'
                                ),
                                lambda paid: abs(paid.amount)
                            )
                        )
                    else list_sum(
                        list_transform(refund.refund_line_items, lambda line: abs(line.subtotal))
                    )
                end
            )
        ),
        0
    )
{%- endmacro %}

{#- The relation's rows with the last exchange rate on or before each order's day, and the
    net amount in the reporting currency. No rate gives null: zero would be a figure. A
    rate that comes late changes the orders since its day: their mappings say so. -#}
{% macro with_exchange_rate(orders) -%}
    select
        {{ orders }}.*,
        rates.rate_to_eur as exchange_rate,
        try_cast(
            round({{ orders }}.net_amount * rates.rate_to_eur, 2) as decimal(18, 2)
        ) as net_amount_reporting
    from {{ orders }}
    asof left join {{ ref('exchange_rate') }} as rates
        on
            {{ orders }}.currency_code = rates.currency_code
            and cast({{ orders }}.purchase_order_date as date) >= rates.rate_date
{%- endmacro %}
