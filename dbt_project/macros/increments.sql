{#- How the canonical model keeps up: only what loads since a model's mark have changed is
    mapped again, and a model whose definition changed is built anew by itself.

    ops.model_state keeps, per model, the definition it was built with and the last load
    it holds; both are written in the transaction of the rows, so a killed run finds
    either all of it or none. A mapping is brought up to date in one of three ways:

    by record   it reads one stream, and each row comes from one record: the rows of the
                records loaded since the mark.
    by link     its meta `changes_with` says, per other stream it reads, which of our
                records a changed one concerns: those as well.
    as a whole  everything else (windows, groups, joins nobody described): all rows of the
                mapping, whenever one of its streams has changed. -#}

{#- The increment in place of the full union: what changed in each mapping. -#}
{% macro union_of(mappings) -%}
    {%- set columns = model.columns.keys() | join(', ') if execute else '*' -%}
    {%- set increment = is_incremental() -%}
    {%- for mapping in mappings %}
    select {{ columns }} from {{ ref(mapping) }}
    {%- if increment %}
    where {{ is_news(mapping) }}
    {%- endif %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro %}

{#- The condition on a mapping's rows that an increment brings. -#}
{% macro is_news(mapping) -%}
    {%- set scope = scope_of(mapping) -%}
    {%- if scope.way == 'nothing' -%}
    false
    {%- elif scope.way == 'whole' -%}
    true
    {%- elif scope.links -%}
    source_record_id in ({{ changed_records(scope) }})
    {%- else -%}
    {#- Reaches the scan of the stream, which a list of records would not. -#}
    _load_seq > {{ scope.mark }}
    {%- endif -%}
{%- endmacro %}

{#- Before an increment: take out every row it may replace. A record that was deleted, or
    no longer maps (a send now marked as a test), has no new row that would do it. -#}
{% macro drop_news() -%}
    {%- if execute and is_incremental() -%}
    {%- set conditions = [] -%}
    {%- for mapping in mappings_of() -%}
        {%- set scope = scope_of(mapping) -%}
        {%- set own = "data_source_object_id = '" ~ scope.stream ~ "'" -%}
        {%- if scope.way == 'whole' -%}
            {%- do conditions.append(own) -%}
        {%- elif scope.way == 'records' -%}
            {%- do conditions.append(
                'source_record_id in (' ~ changed_records(scope) ~ ')'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {#- One statement each: a join cannot serve conditions joined by or. -#}
    {%- for condition in conditions %}
    delete from {{ this }} where {{ condition }};
    {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- After a build, in its transaction: what was built, and up to which load. -#}
{% macro keep_state() -%}
    {%- if execute and config.get('materialized') == 'incremental' and state_table() -%}
    delete from {{ state_table() }} where model = '{{ this.identifier }}';
    insert into {{ state_table() }}
    select '{{ this.identifier }}', '{{ definition_now() }}', coalesce(max(load_seq), 0)
    from {{ this.database }}.ops.load;
    {%- endif -%}
{%- endmacro %}

{#- Which rows of a mapping an increment has to bring: its way (nothing, records or whole),
    the stream it is named after, the mark, and the conditions of changed other streams. -#}
{% macro scope_of(mapping) -%}
    {%- set node = node_of('model.' ~ project_name ~ '.' ~ mapping) -%}
    {%- set stream = mapping.split('__')[0] -%}
    {%- set links = node.config.meta.get('changes_with', {}) -%}
    {%- set mark = state().mark -%}
    {%- set news = streams_behind(node) | select('in', streams_since(mark)) | list -%}
    {%- set scope = {
        'way': 'records', 'stream': stream, 'mark': mark, 'links': {}, 'mapping': mapping
    } -%}
    {%- if not news -%}
        {%- do scope.update({'way': 'nothing'}) -%}
    {%- elif node.config.meta.get('as_a_whole') -%}
        {%- do scope.update({'way': 'whole'}) -%}
    {%- endif -%}
    {%- for other in news if other != stream -%}
        {%- if other in links -%}
            {%- do scope.links.update({other: links[other]}) -%}
        {%- else -%}
            {%- do scope.update({'way': 'whole'}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(scope) }}
{%- endmacro %}

{#- The records of a mapping's own stream that changed, or that a changed one concerns. -#}
{% macro changed_records(scope) -%}
    {%- set database = this.database -%}
    select _record_id from {{ database }}.dlo.{{ scope.stream }}
    where _load_seq > {{ scope.mark }}
    {%- for other, condition in scope.links.items() %}
    union
    select record._record_id
    from {{ database }}.dlo.{{ scope.stream }} as record
    inner join {{ database }}.dlo.{{ other }} as changed on {{ condition }}
    where changed._load_seq > {{ scope.mark }}
    {%- endfor %}
{%- endmacro %}

{#- Whether the table was built with the definition it has now; otherwise it is built anew.
    dbt asks these two of every incremental model, and finds ours before its own. -#}
{% macro should_full_refresh() -%}
    {%- set asked = config.get('full_refresh') -%}
    {%- set asked = flags.FULL_REFRESH if asked is none else asked -%}
    {{ return(asked or (execute and state().definition != definition_now())) }}
{%- endmacro %}

{#- What this model was built with, and up to which load; nothing fits a model without. -#}
{% macro state() -%}
    {%- set unknown = {'definition': none, 'mark': -1} -%}
    {%- if not state_table() -%}{{ return(unknown) }}{%- endif -%}
    {%- set found = run_query(
        "select definition, mark from " ~ state_table()
        ~ " where model = '" ~ this.identifier ~ "'"
    ) -%}
    {%- if not found.rows -%}{{ return(unknown) }}{%- endif -%}
    {{ return({'definition': found.rows[0][0], 'mark': found.rows[0][1]}) }}
{%- endmacro %}

{#- Where states are kept; none on an analyst's own target, which builds in full. -#}
{% macro state_table() -%}
    {%- set found = adapter.get_relation(this.database, 'ops', 'model_state') -%}
    {{ return(found) }}
{%- endmacro %}

{#- The definition of this model as one hash: its text and columns, the compiled text of
    every view it stands on (so that a changed macro counts), the seeds, and the version of
    what worked out the phone numbers. -#}
{% macro definition_now() -%}
    {%- set parts = [model.raw_code] -%}
    {%- for column in model.columns.values() -%}
        {%- do parts.append(column.name ~ ' ' ~ column.data_type) -%}
    {%- endfor -%}
    {%- set views = [] -%}
    {%- for id in ancestors(model) if id in graph.nodes -%}
        {%- set node = graph.nodes[id] -%}
        {%- if node.resource_type == 'seed' -%}
            {%- do parts.append(node.name ~ ' ' ~ node.checksum.checksum) -%}
        {%- else -%}
            {%- do views.append(node.schema ~ '.' ~ node.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set compiled = run_query(
        "select schema_name || '.' || view_name as name, sql from duckdb_views()"
        ~ " where database_name = '" ~ this.database ~ "'"
        ~ " and list_contains(['" ~ views | sort | join("', '") ~ "'], name) order by name"
    ) -%}
    {%- for row in compiled.rows -%}
        {#- Of a view that says what is now, another instant is no other definition. -#}
        {%- do parts.append(row[1] | replace(env_var('CDP_AS_OF', var('as_of')), '')) -%}
    {%- endfor -%}
    {%- if 'source.' ~ project_name ~ '.reference.phone' in ancestors(model) -%}
        {%- set versions = run_query(
            'select string_agg(distinct normaliser_version order by normaliser_version) from '
            ~ this.database ~ '.reference.phone'
        ) -%}
        {%- do parts.append(versions.rows[0][0] or '') -%}
    {%- endif -%}
    {{ return(local_md5(parts | join('\n'))) }}
{%- endmacro %}

{#- The mappings this model is the union of. -#}
{% macro mappings_of() -%}
    {%- set names = [] -%}
    {%- for id in model.depends_on.nodes | sort if id in graph.nodes -%}
        {%- do names.append(graph.nodes[id].name) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{#- The streams a node reads, itself or through views. -#}
{% macro streams_behind(node) -%}
    {%- set names = [] -%}
    {%- for id in ancestors(node) if id.startswith('source.' ~ project_name ~ '.dlo.') -%}
        {%- do names.append(id.split('.')[-1]) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{#- The streams in which loads after a mark changed something. -#}
{% macro streams_since(mark) -%}
    {%- set found = run_query(
        'select distinct stream from ' ~ this.database ~ '.ops.load where load_seq > '
        ~ mark ~ ' and inserted + updated + deleted > 0'
    ) -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}

{#- The ids of everything a node depends on, sorted. -#}
{% macro ancestors(node) -%}
    {%- set found = {} -%}
    {%- set waiting = node.depends_on.nodes | list -%}
    {%- for _ in range(1000) if waiting -%}
        {%- set id = waiting.pop() -%}
        {%- if id not in found -%}
            {%- do found.update({id: true}) -%}
            {%- if id in graph.nodes -%}
                {%- do waiting.extend(graph.nodes[id].depends_on.get('nodes', [])) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found.keys() | sort) }}
{%- endmacro %}

{% macro node_of(id) -%}
    {{ return(graph.nodes[id]) }}
{%- endmacro %}
