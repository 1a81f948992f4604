{{ config(meta={
    'changes_with': {
        'erp_adrc': 'record.MANDT = changed.CLIENT and record.ADRNR = changed.ADDRNUMBER'
    }
}) }}

with

customers as (

    select * from {{ source('dlo', 'erp_kna1') }}
    where not _is_deleted and STKZN = 'X'

),

addresses as (

    select * from {{ source('dlo', 'erp_adrc') }}
    where not _is_deleted

),

-- Central address management rules; what the customer master repeats of it stands in
-- where the address number leads nowhere. The row changes when either record does.
source as (

    select
        customers._record_id,
        customers.ERDAT,
        case
            when addresses.ADDRNUMBER is null then customers.STRAS
            else concat_ws(' ', addresses.STREET, nullif(trim(addresses.HOUSE_NUM1), ''))
        end as street,
        coalesce(addresses.CITY1, customers.ORT01) as city,
        coalesce(addresses.POST_CODE1, customers.PSTLZ) as postal_code,
        coalesce(addresses.REGION, customers.REGIO) as region,
        coalesce(addresses.COUNTRY, customers.LAND1) as country,
        greatest(customers._modified_at, addresses._modified_at) as _modified_at,
        greatest(customers._load_seq, addresses._load_seq) as _load_seq
    from customers
    left join addresses
        on
            customers.MANDT = addresses.CLIENT
            and customers.ADRNR = addresses.ADDRNUMBER

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,
        'billing' as address_type_id,

        ---------- address
        {{ clean_label('street') }} as address_line1,
        cast(null as varchar) as address_line2,
        {{ clean_name('city') }} as city_name,
        {{ clean_postal_code('postal_code') }} as postal_code_text,
        {{ clean_label('region') }} as state_province_name,
        {{ clean_text('country') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('erp_kna1', created='ERDAT') }}

    from source

),

located as (

    {{ with_country('renamed') }}

)

select * from located
