with

source as (

    select * from {{ source('dlo', 'shop_customer') }}
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
        {{ clean_name('first_name') }} as first_name,
        cast(null as varchar) as middle_name,
        {{ clean_name(strip_suffix('last_name')) }} as last_name,
        {{ suffix_in('last_name') }} as name_suffix,
        cast(null as varchar) as salutation,
        cast(null as varchar) as gender_id,
        cast(null as varchar) as title_name,

        ---------- dates
        cast(null as date) as birth_date,

        ---------- provenance
        {{ dmo_tail('shop_customer', created='created_at') }}

    from source

)

select
    *,
    {{ person_name() }} as person_name
from renamed
