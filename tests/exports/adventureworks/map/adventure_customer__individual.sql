with

source as (

    select
        *,
        {{ parse_us_date('BirthDate') }} as born

    from {{ source('dlo', 'adventure_customer') }}
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
        {{ clean_text('Prefix') }} as salutation,
        case Gender when 'M' then 'male' when 'F' then 'female' end as gender_id,
        {{ clean_label('Occupation') }} as title_name,

        ---------- dates
        {{ plausible_birth_date('born') }} as birth_date,

        ---------- provenance
        {{ dmo_tail('adventure_customer') }}

    from source

)

select
    *,
    {{ person_name() }} as person_name
from renamed
