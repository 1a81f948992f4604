with

source as (

    select * from {{ source('dlo', 'email_subscriber') }}
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
        coalesce(Status = 'Bounced', false) as is_undeliverable,

        ---------- provenance
        {{ dmo_tail('email_subscriber', created='DateJoined') }}

    from source

),

addressed as (

    {{ with_email_forms('renamed') }}

)

select * from addressed
