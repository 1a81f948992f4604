{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='id',
        pre_hook="{{ drop_changed_records('email_event') }}"
    )
}}

with

mapped as (

    {{ union_of([
        'email_event__email_engagement',
    ]) }}

)

select * from mapped
where {{ above_mark() }}
