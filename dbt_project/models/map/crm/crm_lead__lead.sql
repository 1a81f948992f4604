with

source as (

    select * from {{ source('dlo', 'crm_lead') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as individual_id,
        'crm_contact:' || ConvertedContactId as converted_contact_id,
        'crm_account:' || ConvertedAccountId as converted_account_id,

        ---------- attributes
        {{ clean_name('FirstName') }} as first_name,
        {{ clean_name(strip_suffix('LastName')) }} as last_name,
        {{ clean_label('Company') }} as company_name,
        {{ clean_text('LeadSource') }} as lead_source,
        {{ clean_text('Status') }} as lead_status_id,
        coalesce(IsConverted, false) as is_converted,

        ---------- provenance
        {{ dmo_tail('crm_lead', created='CreatedDate') }}

    from source

)

select * from renamed
