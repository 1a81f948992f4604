{{ union_of([
    'web_event__shopping_cart_engagement',
]) }}
