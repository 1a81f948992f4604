{#- A SAP customer number as SAP keeps it: ten digits, zeros in front. People type it
    without them; what has other characters or more digits is no customer number. -#}
{% macro sap_customer_number(column) -%}
    case
        when {{ matches_whole("trim(" ~ column ~ ")", "0*[1-9][0-9]{0,9}") }}
            then lpad(ltrim(trim({{ column }}), '0'), 10, '0')
    end
{%- endmacro %}
