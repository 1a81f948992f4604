with

source as (

    select * from {{ source('dlo', 'coral_contact') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,

        ---------- address
        {{ normalise_email('Email') }} as email_address,
        true as primary_flag,
        false as is_undeliverable,

        ---------- provenance
        {{ dmo_tail('coral_contact') }}

    from source

),

addressed as (

    {{ with_email_forms('renamed') }}

)

select * from addressed
