{{ config(materialized='view') }}

select
    stage.unified_individual_id,
    case
        when cart.is_abandoned or score.engagement_score >= 20 then 'high'
        when score.engagement_score >= 5 or stage.lifecycle_stage in ('new', 'active')
            then 'medium'
        else 'low'
    end as propensity_tier

from {{ ref('lifecycle_stage') }} as stage
left join {{ ref('engagement_score') }} as score
    on stage.unified_individual_id = score.unified_individual_id
left join {{ ref('cart_status') }} as cart
    on stage.unified_individual_id = cart.unified_individual_id
