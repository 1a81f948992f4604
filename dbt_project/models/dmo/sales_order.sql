{{ union_of([
    'shop_order__sales_order',
    'erp_vbak__sales_order',
]) }}
