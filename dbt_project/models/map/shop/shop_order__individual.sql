with

-- A guest is known by the order alone, so the order's record is the person's.
source as (

    select
        *,
        {{ json_text('shipping_address', 'first_name') }} as first_name,
        {{ json_text('shipping_address', 'last_name') }} as last_name
    from {{ source('dlo', 'shop_order') }}
    where
        not _is_deleted
        and test is not true
        and {{ json_text('customer', 'id') }} is null

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
        {{ dmo_tail('shop_order', created='created_at') }}

    from source

)

select
    *,
    {{ person_name() }} as person_name
from renamed
