-- Answers in the consent log that stand nowhere, because what they are about is neither an
-- address nor a number. They allow nothing; somebody has to correct them.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'contact_point_consent'}}}) }}

select sent._record_id

from {{ source('dlo', 'consent_log') }} as sent
left join {{ ref('contact_point_consent') }} as kept
    on sent._record_id = kept.source_record_id
where not sent._is_deleted and (kept.id is null or kept.contact_point_value is null)
