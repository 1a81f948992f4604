{{ config(alias='UnifiedLinkIndividual') }}

select
    unified_individual_id as UnifiedIndividualId,
    record as SourceRecordId

from {{ ref('unified_record') }}
