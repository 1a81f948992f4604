{{ union_of([
    'crm_account__account',
    'erp_kna1__account',
]) }}
