{%- set reconciled_fields = ['name', 'industry_id', 'website_domain', 'city_name', 'country_id'] -%}

with

records as (

    select
        link.unified_account_id,
        account.id as record,
        account.name,
        account.industry_id,
        account.website_domain,
        account.city_name,
        account.country_id,
        account.data_source_id,
        account.data_source_object_id,
        account.created_date,
        account.last_modified_date

    from {{ source('identity', 'unified_link_account') }} as link
    inner join {{ ref('account') }} as account on link.record = account.id

),

organisations as (

    select
        unified_account_id,
        count(*) as record_count,
        min(created_date) as created_date,
        max(last_modified_date) as last_modified_date

    from records
    group by unified_account_id

),

reconciled as (

    {{ reconcile('account', 'records', 'unified_account_id', reconciled_fields) }}

)

select
    organisations.unified_account_id,
    reconciled.name,
    reconciled.name_record,
    reconciled.industry_id,
    reconciled.industry_id_record,
    reconciled.website_domain,
    reconciled.website_domain_record,
    reconciled.city_name,
    reconciled.city_name_record,
    reconciled.country_id,
    reconciled.country_id_record,
    organisations.record_count,
    organisations.created_date,
    organisations.last_modified_date

from organisations
left join reconciled on organisations.unified_account_id = reconciled.unified_account_id
