{{ union_of([
    'crm_contact__contact_point_address',
    'crm_lead__contact_point_address',
    'shop_customer__contact_point_address',
    'shop_order__contact_point_address',
    'erp_kna1__contact_point_address',
]) }}
