{{ union_of([
    'shop_order__sales_order_product',
    'erp_vbap__sales_order_product',
]) }}
