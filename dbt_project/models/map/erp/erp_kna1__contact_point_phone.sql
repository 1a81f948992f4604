with

source as (

    select * from {{ source('dlo', 'erp_kna1') }}
    where not _is_deleted and STKZN = 'X'

),

renamed as (

    select
        ---------- ids
        _record_id as party_id,

        ---------- numbers
        TELF2 as mobile_number,
        TELF1 as home_number,
        {{ clean_text('LAND1') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('erp_kna1', created='ERDAT') }}

    from source

),

numbers as (

    select
        * exclude (mobile_number, home_number),
        party_id || '/mobile' as id,
        mobile_number as telephone_number,
        'mobile' as phone_type_id,
        true as primary_flag
    from renamed
    union all
    select
        * exclude (mobile_number, home_number),
        party_id || '/home' as id,
        home_number as telephone_number,
        'home' as phone_type_id,
        mobile_number is null as primary_flag
    from renamed

),

standardised as (

    {{ with_e164('numbers') }}

)

select * from standardised
