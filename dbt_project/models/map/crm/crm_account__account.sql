with

source as (

    select * from {{ source('dlo', 'crm_account') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        {{ clean_text('AccountNumber') }} as account_number,
        'crm_account:' || ParentId as parent_account_id,

        ---------- attributes
        {{ clean_label('Name') }} as name,
        {{ clean_text('Type') }} as account_type_id,
        {{ clean_text('Industry') }} as industry_id,
        NumberOfEmployees as number_of_employees,
        cast(AnnualRevenue as decimal(18, 2)) as annual_revenue,
        {{ clean_text('Website') }} as website,
        {{ website_domain('Website') }} as website_domain,

        ---------- contact points
        Phone as telephone_number,
        {{ address_line('BillingStreet', 1) }} as address_line1,
        {{ clean_name('BillingCity') }} as city_name,
        {{ clean_postal_code('BillingPostalCode') }} as postal_code_text,
        {{ clean_text('BillingCountry') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('crm_account', created='CreatedDate') }}

    from source

),

located as (

    {{ with_account_lookups('renamed') }}

)

select * from located
