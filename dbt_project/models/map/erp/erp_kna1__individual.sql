with

source as (

    select * from {{ source('dlo', 'erp_kna1') }}
    where not _is_deleted and STKZN = 'X'

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        cast(null as varchar) as primary_account_id,
        {{ sap_language('SPRAS') }} as primary_language_id,
        false as is_anonymous,

        ---------- names
        {{ clean_name('NAME2') }} as first_name,
        cast(null as varchar) as middle_name,
        {{ clean_name(strip_suffix('NAME1')) }} as last_name,
        {{ suffix_in('NAME1') }} as name_suffix,
        {{ clean_text('ANRED') }} as salutation,
        {{ gender_of('ANRED') }} as gender_id,
        cast(null as varchar) as title_name,

        ---------- dates
        {{ plausible_birth_date(parse_sap_date('GBDAT')) }} as birth_date,

        ---------- provenance
        {{ dmo_tail('erp_kna1', created='ERDAT') }}

    from source

)

select
    *,
    {{ person_name() }} as person_name
from renamed
