with

source as (

    select * from {{ source('dlo', 'adventure_customer') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,

        ---------- address
        {{ normalise_email('EmailAddress') }} as email_address,
        true as primary_flag,
        false as is_undeliverable,

        ---------- provenance
        {{ dmo_tail('adventure_customer') }}

    from source

),

addressed as (

    {{ with_email_forms('renamed') }}

)

select * from addressed
