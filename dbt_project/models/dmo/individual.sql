{{ union_of([
    'crm_contact__individual',
    'crm_lead__individual',
    'shop_customer__individual',
    'shop_order__individual',
    'erp_kna1__individual',
    'support_user__individual',
    'email_subscriber__individual',
]) }}
