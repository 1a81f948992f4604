{{ config(meta={'as_a_whole': true}) }}

with

source as (

    select * from {{ source('dlo', 'erp_vbap') }}
    where not _is_deleted and nullif(trim(MATNR), '') is not null

),

-- The item changed last knows best; its number settles a tie.
latest as (

    select
        * replace (max(_load_seq) over (partition by trim(MATNR)) as _load_seq),
        min(UPD_TMSTMP) over (partition by trim(MATNR)) as first_seen_at

    from source
    qualify row_number() over (
        partition by trim(MATNR)
        order by UPD_TMSTMP desc, MANDT desc, VBELN desc, POSNR desc
    ) = 1

),

renamed as (

    select
        ---------- ids
        'erp_material:' || trim(MATNR) as id,
        nullif(trim(ARKTX), '') as name,
        trim(MATNR) as product_sku,
        cast(null as varchar) as brand_id,
        nullif(trim(MATKL), '') as primary_product_category_id,

        ---------- provenance
        {{ dmo_tail('erp_vbap', created='first_seen_at') }}

    from latest

)

select * from renamed
