{{ config(meta={'as_a_whole': true}) }}

with

-- All the shop tells of a customer is a number; a guest not even that.
customers as (

    select
        coalesce(customer_record, order_record) as id,
        max(customer_record) as customer_record,
        min(InvoiceDate) as first_seen_at,
        min(_record_id) as _record_id,
        max(_modified_at) as _modified_at,
        max(_load_seq) as _load_seq

    from ({{ retail_lines() }})
    group by 1

),

renamed as (

    select
        ---------- ids
        id,
        cast(null as varchar) as primary_account_id,
        cast(null as varchar) as primary_language_id,
        customer_record is null as is_anonymous,

        ---------- names
        cast(null as varchar) as first_name,
        cast(null as varchar) as middle_name,
        cast(null as varchar) as last_name,
        cast(null as varchar) as name_suffix,
        cast(null as varchar) as salutation,
        cast(null as varchar) as gender_id,
        cast(null as varchar) as title_name,
        cast(null as varchar) as person_name,

        ---------- dates
        cast(null as date) as birth_date,

        ---------- provenance
        {{ dmo_tail('retail_line', created='first_seen_at') }}

    from customers

)

select * from renamed
