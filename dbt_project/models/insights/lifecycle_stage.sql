{{ config(materialized='view') }}

select
    person.unified_individual_id,
    case
        when value.unified_individual_id is null then 'prospect'
        when {{ days_between('value.first_order_date', as_of()) }} <= 30 then 'new'
        when risk.days_since_last_order <= 1.5 * risk.expected_order_interval_days then 'active'
        when risk.days_since_last_order <= 3 * risk.expected_order_interval_days then 'lapsing'
        else 'lapsed'
    end as lifecycle_stage

from {{ ref('unified_individual') }} as person
left join {{ ref('lifetime_value') }} as value
    on person.unified_individual_id = value.unified_individual_id
left join {{ ref('churn_risk') }} as risk
    on person.unified_individual_id = risk.unified_individual_id
