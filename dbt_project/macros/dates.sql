{#- Whole days from one instant to another, as dates: 23:59 to 00:01 is one day. -#}
{% macro days_between(earlier, later) -%}
    date_diff('day', cast({{ earlier }} as date), cast({{ later }} as date))
{%- endmacro %}

{#- SAP writes dates as yyyymmdd and an unknown one as 00000000; anything that is no
    date of the calendar is unknown too. -#}
{% macro parse_sap_date(column) -%}
    cast(try_strptime({{ column }}, '%Y%m%d') as date)
{%- endmacro %}

{#- Month first, as US systems export it: 5/14/1965. Day and month cannot be told apart in
    most dates, so a mapping says which form its source writes. -#}
{% macro parse_us_date(column) -%}
    cast(try_strptime({{ column }}, '%m/%d/%Y') as date)
{%- endmacro %}

{#- A birth date that can be one: not the placeholder 1900-01-01 or earlier, not after
    the record was last changed. -#}
{% macro plausible_birth_date(column) -%}
    case
        when {{ column }} > date '1900-01-01' and {{ column }} <= cast(_modified_at as date)
            then {{ column }}
    end
{%- endmacro %}

{#- An instant written with its offset, in UTC; null when it is none. A cast straight to
    timestamp would drop the offset without a word. -#}
{% macro parse_timestamp(column) -%}
    try_cast({{ column }} as timestamptz) at time zone 'UTC'
{%- endmacro %}
