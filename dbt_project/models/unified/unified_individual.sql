{%- set reconciled_fields = [
    'first_name', 'middle_name', 'last_name', 'name_suffix', 'salutation', 'birth_date',
    'gender_id', 'title_name', 'primary_language_id', 'primary_account_id', 'person_name',
] -%}

with

records as (

    select
        link.unified_individual_id,
        individual.id as record,
        individual.first_name,
        individual.middle_name,
        individual.last_name,
        individual.name_suffix,
        individual.salutation,
        individual.person_name,
        individual.birth_date,
        individual.gender_id,
        individual.title_name,
        individual.primary_language_id,
        account.unified_account_id as primary_account_id,
        individual.is_anonymous,
        individual.data_source_id,
        individual.data_source_object_id,
        individual.created_date,
        individual.last_modified_date

    from {{ ref('unified_record') }} as link
    inner join {{ ref('individual') }} as individual on link.record = individual.id
    left join {{ source('identity', 'unified_link_account') }} as account_link
        on individual.primary_account_id = account_link.record
    left join {{ ref('unified_account') }} as account
        on account_link.unified_account_id = account.unified_account_id

),

people as (

    select
        unified_individual_id,
        count(*) as record_count,
        count(distinct data_source_id) as source_count,
        bool_or(is_anonymous is not true) as is_known,
        min(created_date) as created_date,
        max(last_modified_date) as last_modified_date

    from records
    group by unified_individual_id

),

reconciled as (

    {{ reconcile('individual', 'records', 'unified_individual_id', reconciled_fields) }}

)

select
    ---------- ids
    people.unified_individual_id,

    ---------- names
    reconciled.first_name,
    reconciled.first_name_record,
    reconciled.middle_name,
    reconciled.middle_name_record,
    reconciled.last_name,
    reconciled.last_name_record,
    reconciled.name_suffix,
    reconciled.name_suffix_record,
    reconciled.salutation,
    reconciled.salutation_record,
    -- Built from the parts that won, so that it agrees with them; sources that know only
    -- a whole name give the rest.
    case
        when reconciled.first_name is null and reconciled.last_name is null
            then reconciled.person_name
        else
            concat_ws(
                ' ',
                reconciled.first_name,
                reconciled.middle_name,
                reconciled.last_name,
                reconciled.name_suffix
            )
    end as person_name,

    ---------- attributes
    cast(reconciled.birth_date as date) as birth_date,
    reconciled.birth_date_record,
    reconciled.gender_id,
    reconciled.gender_id_record,
    reconciled.title_name,
    reconciled.title_name_record,
    reconciled.primary_language_id,
    reconciled.primary_language_id_record,
    reconciled.primary_account_id,
    reconciled.primary_account_id_record,

    ---------- provenance
    people.record_count,
    people.source_count,
    people.is_known,
    people.created_date,
    people.last_modified_date

from people
left join reconciled on people.unified_individual_id = reconciled.unified_individual_id
