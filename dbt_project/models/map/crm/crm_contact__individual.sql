with

source as (

    select * from {{ source('dlo', 'crm_contact') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'crm_account:' || AccountId as primary_account_id,
        cast(null as varchar) as primary_language_id,
        false as is_anonymous,

        ---------- names
        {{ clean_name('FirstName') }} as first_name,
        {{ clean_name('MiddleName') }} as middle_name,
        {{ clean_name(strip_suffix('LastName')) }} as last_name,
        coalesce({{ clean_suffix('Suffix') }}, {{ suffix_in('LastName') }}) as name_suffix,
        {{ clean_text('Salutation') }} as salutation,
        {{ gender_of('Salutation') }} as gender_id,
        {{ clean_label('Title') }} as title_name,

        ---------- dates
        {{ plausible_birth_date('Birthdate') }} as birth_date,

        ---------- provenance
        {{ dmo_tail('crm_contact', created='CreatedDate') }}

    from source

)

select
    *,
    {{ person_name() }} as person_name
from renamed
