{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='id',
        pre_hook="{{ drop_changed_records('web_event') }}"
    )
}}

with

mapped as (

    {{ union_of([
        'web_event__website_engagement',
    ]) }}

)

select * from mapped
where {{ above_mark() }}
