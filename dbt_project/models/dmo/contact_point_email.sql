{{ union_of([
    'crm_contact__contact_point_email',
    'crm_lead__contact_point_email',
    'shop_customer__contact_point_email',
    'shop_order__contact_point_email',
    'erp_kna1__contact_point_email',
    'support_user__contact_point_email',
    'email_subscriber__contact_point_email',
]) }}
