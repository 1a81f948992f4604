{{
    config(
        alias='UnifiedIndividual',
        post_hook=[
            "create or replace macro article.current_date() as cast({{ as_of() }} as date)",
            "create or replace macro article.datediff(part, earlier, later) as {{ days_between('earlier', 'later') }}",
            "create or replace macro article.dateadd(part, amount, day) as cast(day as timestamp) + to_days(amount)",
        ]
    )
}}

select unified_individual_id as Id

from {{ ref('unified_individual') }}
