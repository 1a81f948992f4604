{{ union_of([
    'crm_contact__account_contact',
]) }}
