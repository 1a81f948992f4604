with

source as (

    select * from {{ source('dlo', 'erp_kna1') }}
    where not _is_deleted and STKZN is distinct from 'X'

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        KUNNR as account_number,
        -- KONZS names a group of companies, not the customer that leads it.
        cast(null as varchar) as parent_account_id,

        ---------- attributes
        {{ clean_label('NAME1') }} as name,
        {{ clean_text('KTOKD') }} as account_type_id,
        {{ clean_text('BRSCH') }} as industry_id,
        cast(null as bigint) as number_of_employees,
        cast(null as decimal(18, 2)) as annual_revenue,
        cast(null as varchar) as website,
        cast(null as varchar) as website_domain,

        ---------- contact points
        TELF1 as telephone_number,
        {{ clean_label('STRAS') }} as address_line1,
        {{ clean_name('ORT01') }} as city_name,
        {{ clean_postal_code('PSTLZ') }} as postal_code_text,
        {{ clean_text('LAND1') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('erp_kna1', created='ERDAT') }}

    from source

),

located as (

    {{ with_account_lookups('renamed') }}

)

select * from located
