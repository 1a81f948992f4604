{{ union_of([
    'consent_log__contact_point_consent',
    'email_event__contact_point_consent',
    'email_subscriber__contact_point_consent',
    'crm_contact__contact_point_consent',
    'shop_customer__contact_point_consent',
]) }}
