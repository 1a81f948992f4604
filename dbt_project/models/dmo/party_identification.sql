{{ union_of([
    'crm_contact__party_identification',
    'crm_account__party_identification',
    'shop_customer__party_identification',
    'erp_kna1__party_identification',
    'support_user__party_identification',
]) }}
