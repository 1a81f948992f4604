{#- A person's contact points are all kept; what differs is their order. -#}

{#- Comparable, smallest first: the source the rules put first, what the source calls
    primary, the latest change, the record, and last the fields given, which ride along so
    that the best row can be read out of the minimum. -#}
{% macro contact_point_standing(fields) -%}
    {
        'priority': standings.priority,
        'secondary': coalesce(not points.primary_flag, true),
        'age': -coalesce(epoch_us(points.last_modified_date), 0),
        'record': points.record,
        {%- for field in fields %}
        '{{ field }}': points.{{ field }}{{ ',' if not loop.last }}
        {%- endfor %}
    }
{%- endmacro %}
