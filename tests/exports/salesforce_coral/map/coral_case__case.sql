{{ config(meta={'as_a_whole': true}) }}

with

-- A tree names records by a reference of its own.
contacts as (

    select
        '@' || {{ json_text('attributes', 'referenceId') }} as reference,
        _record_id as record

    from {{ source('dlo', 'coral_contact') }}
    where not _is_deleted

),

source as (

    select
        cases.*,
        contacts.record as individual_id

    from {{ source('dlo', 'coral_case') }} as cases
    left join contacts on cases.ContactId = contacts.reference
    where not cases._is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        {{ json_text('attributes', 'referenceId') }} as case_number,
        individual_id,
        cast(null as varchar) as account_id,

        ---------- what
        {{ clean_text('Subject') }} as subject,
        lower(Status) as case_status_id,
        lower(Priority) as case_priority_id,
        lower(Origin) as case_origin_id,

        ---------- when: the export's time stands for it
        _modified_at as opened_date,
        cast(null as timestamp) as closed_date,
        Status is distinct from 'Closed' as is_open,

        ---------- provenance
        {{ dmo_tail('coral_case') }}

    from source

)

select * from renamed
