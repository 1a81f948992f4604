{#- The generic tests dbt does not ship; dbt's package hub is not reachable everywhere
    this project is built. Each one selects the rows that break the rule. -#}

{#- Every row makes the expression true. On a column, the expression follows its name. -#}
{% test expression_is_true(model, expression, column_name=none, where=none) %}
    select *
    from {{ model }}
    where
        ({{ column_name or '' }} {{ expression }}) is distinct from true
        {%- if where %} and ({{ where }}){% endif %}
{% endtest %}

{#- No two rows share these columns; rows with a null among them count as equal. -#}
{% test unique_combination(model, columns) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{#- All rows with one value of on_column agree in the columns: it decides them. -#}
{% test functionally_depends(model, columns, on_column) %}
    select {{ on_column }}
    from {{ model }}
    group by {{ on_column }}
    having
        false
        {%- for column in columns %}
        or count(distinct {{ column }}) > 1
        {%- endfor %}
{% endtest %}

{#- Within each group, no two neighbours in time are more than so many days apart. -#}
{% test no_gap(model, group_by, date_column, days) %}
    select
        {{ group_by }},
        {{ date_column }},
        lead({{ date_column }}) over in_time as next_date
    from {{ model }}
    window in_time as (partition by {{ group_by }} order by {{ date_column }})
    qualify {{ days_between(date_column, 'next_date') }} > {{ days }}
{% endtest %}

{#- Like relationships, to either of two tables, and only for the rows of a condition. -#}
{% test relationships_where(model, column_name, to, or_to=none, field='id', where='true') %}
    select child.{{ column_name }}
    from {{ model }} as child
    where
        child.{{ column_name }} is not null
        and ({{ where }})
        {%- for target in [to, or_to] if target %}
        and not exists (
            select 1 from {{ target }} as parent
            where parent.{{ field }} = child.{{ column_name }}
        )
        {%- endfor %}
{% endtest %}

{#- Text is absent or says something: the empty string is a null that joins. Without a
    column, for every column of text. -#}
{% test not_empty_string(model, column_name=none) %}
    {%- set columns = [column_name] if column_name else text_columns(model) %}
    select *
    from {{ model }}
    where
        false
        {%- for column in columns %}
        or trim({{ column }}) = ''
        {%- endfor %}
{% endtest %}

{% macro text_columns(relation) -%}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.is_string() -%}
            {%- do names.append(adapter.quote(column.name)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{#- Where present, the whole text has the form. -#}
{% test accepted_format(model, column_name, pattern) %}
    select {{ column_name }}
    from {{ model }}
    where not {{ matches_whole(column_name, pattern) }}
{% endtest %}

{#- No value stands in the other column: a lookup of one step needs no second. -#}
{% test relationships_absent(model, column_name, to, field) %}
    select child.{{ column_name }}
    from {{ model }} as child
    inner join {{ to }} as parent on child.{{ column_name }} = parent.{{ field }}
{% endtest %}
