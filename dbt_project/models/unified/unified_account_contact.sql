{{ config(materialized='view') }}

with

roles as (

    select
        account.unified_account_id,
        individual_link.unified_individual_id,
        contact.title,
        contact.department_name,
        contact.source_record_id,
        contact.last_modified_date

    from {{ ref('account_contact') }} as contact
    inner join {{ source('identity', 'unified_link_account') }} as account_link
        on contact.account_id = account_link.record
    inner join {{ ref('unified_account') }} as account
        on account_link.unified_account_id = account.unified_account_id
    inner join {{ ref('unified_record') }} as individual_link
        on contact.individual_id = individual_link.record

)

select
    unified_account_id || '|' || unified_individual_id as id,
    unified_account_id,
    unified_individual_id,
    title,
    department_name,
    source_record_id,
    last_modified_date

from roles
qualify
    row_number() over (
        partition by unified_account_id, unified_individual_id
        order by last_modified_date desc nulls last, source_record_id asc
    ) = 1
