{{ union_of([
    'crm_lead__lead',
]) }}
