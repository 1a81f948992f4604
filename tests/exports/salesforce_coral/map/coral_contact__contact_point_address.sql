with

source as (

    select * from {{ source('dlo', 'coral_contact') }}
    where not _is_deleted

),

renamed as (

    select
        ---------- ids
        _record_id as id,
        _record_id as party_id,
        'mailing' as address_type_id,

        ---------- address
        {{ address_line('MailingStreet', 1) }} as address_line1,
        {{ address_line('MailingStreet', 2) }} as address_line2,
        {{ clean_name('MailingCity') }} as city_name,
        {{ clean_postal_code('MailingPostalCode') }} as postal_code_text,
        {{ clean_label('MailingState') }} as state_province_name,
        {{ clean_text('MailingCountry') }} as country_typed,

        ---------- provenance
        {{ dmo_tail('coral_contact') }}

    from source

),

located as (

    {{ with_country('renamed') }}

)

select * from located
