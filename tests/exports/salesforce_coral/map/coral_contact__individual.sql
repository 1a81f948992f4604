with

source as (

    select * from {{ source('dlo', 'coral_contact') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        cast(null as varchar) as primary_account_id,
        cast(null as varchar) as primary_language_id,
        false as is_anonymous,

        ---------- names
        {{ clean_name('FirstName') }} as first_name,
        cast(null as varchar) as middle_name,
        {{ clean_name(strip_suffix('LastName')) }} as last_name,
        {{ suffix_in('LastName') }} as name_suffix,
        cast(null as varchar) as salutation,
        cast(null as varchar) as gender_id,
        cast(null as varchar) as title_name,

        ---------- dates
        {{ plausible_birth_date('Birthdate') }} as birth_date,

        ---------- provenance
        {{ dmo_tail('coral_contact') }}

    from source

)

select
    *,
    {{ person_name() }} as person_name
from renamed
