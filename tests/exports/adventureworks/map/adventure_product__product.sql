select
    ---------- ids
    _record_id as id,
    {{ clean_label('ProductName') }} as name,
    ProductSKU as product_sku,
    {{ clean_label('ModelName') }} as brand_id,
    ProductSubcategoryKey as primary_product_category_id,

    ---------- provenance
    {{ dmo_tail('adventure_product') }}

from {{ source('dlo', 'adventure_product') }}
where not _is_deleted
