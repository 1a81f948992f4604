select
    link.unified_individual_id,
    count(*) filter (where cases.is_open) as open_case_count,
    max(cases.opened_date) as last_case_opened_date,
    count(*) filter (
        where
        cases.opened_date >= cast({{ as_of() }} as date) - interval 90 day
        and cases.opened_date <= {{ as_of() }}
    ) as cases_90d

from {{ ref('case') }} as cases
inner join {{ ref('unified_record') }} as link
    on cases.individual_id = link.record
group by link.unified_individual_id
