{{ union_of([
    'support_ticket__case',
]) }}
