{{ config(meta={
    'changes_with': {
        'erp_adr6': 'record.MANDT = changed.CLIENT and record.ADRNR = changed.ADDRNUMBER'
    }
}) }}

with

customers as (

    select * from {{ source('dlo', 'erp_kna1') }}
    where not _is_deleted and STKZN = 'X'

),

-- One address per number: the standard one, otherwise the first.
addresses as (

    select * from {{ source('dlo', 'erp_adr6') }}
    where not _is_deleted
    qualify
        row_number() over (
            partition by CLIENT, ADDRNUMBER
            order by FLGDEFAULT is distinct from 'X', CONSNUMBER
        ) = 1

),

-- The row changes when either of its records does.
source as (

    select
        customers._record_id,
        customers.ERDAT,
        addresses.SMTP_ADDR,
        greatest(customers._modified_at, addresses._modified_at) as _modified_at,
        greatest(customers._load_seq, addresses._load_seq) as _load_seq
    from customers
    inner join addresses
        on
            customers.MANDT = addresses.CLIENT
            and customers.ADRNR = addresses.ADDRNUMBER

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,

        ---------- address
        {{ normalise_email('SMTP_ADDR') }} as email_address,
        true as primary_flag,
        false as is_undeliverable,

        ---------- provenance
        {{ dmo_tail('erp_kna1', created='ERDAT') }}

    from source

),

addressed as (

    {{ with_email_forms('renamed') }}

)

select * from addressed
