{{ union_of([
    'email_event__email_engagement',
]) }}
