{{ union_of([
    'web_event__website_engagement',
]) }}
