{#- The instant this run takes as now; no model reads the clock. Runs give it in the
    environment: another --vars makes dbt parse the whole project again, 3 s a call,
    another environment variable only the models that use it. -#}
{% macro as_of() -%}
    cast('{{ env_var("CDP_AS_OF", var("as_of")) }}' as timestamp)
{%- endmacro %}
