{{ union_of([
    'shop_order__product',
    'erp_vbap__product',
]) }}
