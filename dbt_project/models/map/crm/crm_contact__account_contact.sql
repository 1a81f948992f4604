with

source as (

    select * from {{ source('dlo', 'crm_contact') }}
    where not _is_deleted and AccountId is not null

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        'crm_account:' || AccountId as account_id,
        _record_id as individual_id,

        ---------- attributes
        {{ clean_label('Title') }} as title,
        {{ clean_label('Department') }} as department_name,

        ---------- provenance
        {{ dmo_tail('crm_contact', created='CreatedDate') }}

    from source

)

select * from renamed
