{#- Streaming insights: figures over windows that end with the run, kept up for the people
    whose events moved. An analyst names the windows and selects from the events in them,
    with a column in_<window> for each; models/insights/streaming has two of them.

    sliding 7 days   the seven days that end with as_of, to the instant
    tumbling 1 day   the day that as_of is in, so far; of an hour, a week (from Monday), …

    streaming.<model> keeps, per event in any window, whose it was, what it said and which
    windows it was in. A run compares that with what is there now: whoever an event came
    to, went from (a late login, a merge, a cancelled order) or changed a window for is
    touched, and the rows of the touched are replaced. So no mark of loads can be missed,
    and the outcome is what a full refresh gives. -#}

{#- Notes the windows where the hooks below find them. -#}
{% macro streaming(windows, happened_at) -%}
    {{ config(meta={'windows': windows, 'happened_at': happened_at}) }}
{%- endmacro %}

{#- The events of the model's windows, of the people touched if it is kept up. -#}
{% macro windowed_events(relation, windows, happened_at) -%}
    (
        {{ events_in_windows(relation, windows, happened_at) }}
        {%- if is_incremental() %}
            and unified_individual_id in (
                select unified_individual_id from {{ this.identifier }}__touched
            )
        {%- endif %}
    )
{%- endmacro %}

{#- Every event that is in one of the windows, and in which. -#}
{% macro events_in_windows(relation, windows, happened_at) -%}
    {%- set conditions = [] -%}
    {%- for window in windows.values() -%}
        {%- do conditions.append(in_window(window, 'event.' ~ happened_at)) -%}
    {%- endfor -%}
    select
        event.*
        {%- for name in windows %},
        {{ conditions[loop.index0] }} as in_{{ name }}
        {%- endfor %}
    from {{ relation }} as event
    where ({{ conditions | join(' or ') }})
{%- endmacro %}

{#- Whether an instant is in a window of now. -#}
{% macro in_window(window, instant) -%}
    {%- set kind, _, length = window.partition(' ') -%}
    {%- if kind == 'sliding' -%}
    ({{ instant }} > {{ as_of() }} - interval '{{ length }}' and {{ instant }} <= {{ as_of() }})
    {%- elif kind == 'tumbling' -%}
    (
        {{ instant }} >= time_bucket(interval '{{ length }}', {{ as_of() }})
        and {{ instant }} <= {{ as_of() }}
    )
    {%- else -%}
    {{ exceptions.raise_compiler_error(
        "window '" ~ window ~ "': write sliding or tumbling before its length, as in"
        ~ " sliding 7 days"
    ) }}
    {%- endif -%}
{%- endmacro %}

{#- Of the model's windows now: a row per event, its person and a hash of all it says. -#}
{% macro windows_now(relation, windows, happened_at) -%}
    select unified_individual_id, hash(kept) as content
    from ({{ events_in_windows(relation, windows, happened_at) }}) as kept
    where unified_individual_id is not null
{%- endmacro %}

{#- Whose events in the windows are others than those kept. -#}
{% macro touched_people(present, kept) -%}
    select distinct unified_individual_id
    from (
        (from {{ present }} except all from {{ kept }})
        union all
        (from {{ kept }} except all from {{ present }})
    )
{%- endmacro %}

{#- Before an increment: who is touched, and their old rows out of the way. -#}
{% macro touch_people() -%}
    {%- if execute and is_incremental() and state_table() -%}
    {%- set name = this.identifier -%}
    create or replace temp table {{ name }}__now as
    {{ windows_of_model() }};
    create or replace temp table {{ name }}__touched as
    {{ touched_people(name ~ '__now', this.database ~ '.streaming.' ~ name) }};
    delete from {{ this }} where unified_individual_id in (
        select unified_individual_id from {{ name }}__touched
    );
    {%- endif -%}
{%- endmacro %}

{#- After a build, in its transaction: what the windows hold now. -#}
{% macro keep_windows() -%}
    {%- if execute and state_table() -%}
    create or replace table {{ this.database }}.streaming.{{ this.identifier }} as
    {%- if is_incremental() %}
    from {{ this.identifier }}__now;
    {%- else %}
    {{ windows_of_model() }};
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- The one relation that the model reads. -#}
{% macro source_of_windows() -%}
    {%- set nodes = model.depends_on.nodes -%}
    {%- if nodes | length != 1 -%}
    {{ exceptions.raise_compiler_error(
        this.identifier ~ ' reads ' ~ nodes | join(', ')
        ~ ': a streaming insight reads one relation of events'
    ) }}
    {%- endif -%}
    {%- set node = node_of(nodes[0]) -%}
    {{ return(this.database ~ '.' ~ node.schema ~ '.' ~ node.name) }}
{%- endmacro %}

{#- What the windows of this model hold now. -#}
{% macro windows_of_model() -%}
    {%- set meta = config.get('meta') -%}
    {{ windows_now(source_of_windows(), meta['windows'], meta['happened_at']) }}
{%- endmacro %}
