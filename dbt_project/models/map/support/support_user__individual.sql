with

source as (

    select * from {{ source('dlo', 'support_user') }}
    where not _is_deleted and role = 'end-user'

),

-- A user made from a mail that came in has the mailbox for a name: that is no name.
named as (

    select
        *,
        case
            when
                strpos(name, '@') = 0
                and coalesce(name <> split_part(lower(email), '@', 1), true)
                and coalesce(name <> split_part(lower(email), '+', 1), true)
                then {{ clean_name('name') }}
        end as full_name

    from source

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        cast(null as varchar) as primary_account_id,
        {{ language_of('locale') }} as primary_language_id,
        false as is_anonymous,

        ---------- names
        {{ given_name('full_name') }} as first_name,
        cast(null as varchar) as middle_name,
        {{ strip_suffix(family_name('full_name')) }} as last_name,
        {{ suffix_in(family_name('full_name')) }} as name_suffix,
        cast(null as varchar) as salutation,
        cast(null as varchar) as gender_id,
        cast(null as varchar) as title_name,

        ---------- dates
        cast(null as date) as birth_date,

        ---------- provenance
        {{ dmo_tail('support_user', created='created_at') }}

    from named

)

select
    *,
    {{ person_name() }} as person_name
from renamed
