with

source as (

    select * from {{ source('dlo', 'crm_lead') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'crm_account:' || ConvertedAccountId as primary_account_id,
        cast(null as varchar) as primary_language_id,
        false as is_anonymous,

        ---------- names
        {{ clean_name('FirstName') }} as first_name,
        cast(null as varchar) as middle_name,
        {{ clean_name(strip_suffix('LastName')) }} as last_name,
        {{ suffix_in('LastName') }} as name_suffix,
        {{ clean_text('Salutation') }} as salutation,
        {{ gender_of('Salutation') }} as gender_id,
        {{ clean_label('Title') }} as title_name,

        ---------- dates
        cast(null as date) as birth_date,

        ---------- provenance
        {{ dmo_tail('crm_lead', created='CreatedDate') }}

    from source

)

select
    *,
    {{ person_name() }} as person_name
from renamed
