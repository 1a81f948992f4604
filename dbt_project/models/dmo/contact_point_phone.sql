{{ union_of([
    'crm_contact__contact_point_phone',
    'crm_lead__contact_point_phone',
    'shop_customer__contact_point_phone',
    'shop_order__contact_point_phone',
    'erp_kna1__contact_point_phone',
    'support_user__contact_point_phone',
]) }}
