{{ union_of([
    'web_event__device',
]) }}
