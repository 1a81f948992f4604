"""The SQL that turns tables into one JSON document per person, with its lookup keys.

Everything is read from the catalogue: a new insight, or a new column of the profile,
is published without a change here. Documents are built for one range of ids at a time,
so memory follows the range and not the number of people. Every list has a total order
and every object sorted keys: the same facts give the same bytes.
"""

import re

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.digests import columns_of

# An age differs tomorrow for everybody, without anybody having changed. Dates are
# published instead, and ages derived when read.
AGE = re.compile(
    r"(^|_)(age|tenure)(_|$)"
    r"|^(second|minute|hour|day|week|month|year)s_(since|until)(_|$)"
)

READS = (
    "unified.unified_individual",
    "unified.unified_contact_point_email",
    "unified.unified_contact_point_phone",
    "unified.unified_contact_point_address",
    "identity.unified_link_individual",
    "identity.redirect",
    "dmo.individual",
    "dmo.contact_point_email",
    "dmo.contact_point_phone",
    "dmo.contact_point_consent",
    "dmo.sales_order",
    "dmo.case",
    "segments.membership",
)

# The newest orders and cases a document names; it counts all of them.
RECENT = 5

_RANGE = (
    "unified_individual_id >= $low and ($high is null or unified_individual_id < $high)"
)

LINKS = f"""
create or replace temp table publication_link as
select unified_individual_id, record, tier
from identity.unified_link_individual
where {_RANGE}
"""

# An e-mail or phone is a key of everybody whose record carries it, junk included: the
# answer to a shared address is the list of the people who share it.
KEYS = f"""
create or replace temp table publication_key as
select distinct kind, key, unified_individual_id from (
    select 'id' as kind, unified_individual_id as key, unified_individual_id
    from unified.unified_individual where {_RANGE}
    union all
    select 'retired_id', retired_id, unified_individual_id
    from (
        select retired_id, unnest(live_ids) as unified_individual_id
        from identity.redirect
    ) where {_RANGE}
    union all
    select 'record', record, unified_individual_id from publication_link
    union all
    select 'email', p.email_address, l.unified_individual_id
    from dmo.contact_point_email p join publication_link l on l.record = p.party_id
    union all
    select 'email_match', p.normalised_email, l.unified_individual_id
    from dmo.contact_point_email p join publication_link l on l.record = p.party_id
    union all
    select 'phone', p.formatted_e164_phone_number, l.unified_individual_id
    from dmo.contact_point_phone p join publication_link l on l.record = p.party_id
    union all
    -- Backwards, so that a number without its country is the beginning of the key.
    select 'phone_reversed',
        reverse(regexp_replace(p.formatted_e164_phone_number, '[^0-9]', '', 'g')),
        l.unified_individual_id
    from dmo.contact_point_phone p join publication_link l on l.record = p.party_id
) where key is not null and key <> ''
"""

# Filled in with the documents; ``publication_stored`` holds what the store has.
CHANGED = """
create or replace temp table publication_changed as
with built as ({documents}), keys as (
    select unified_individual_id,
        md5(string_agg(kind || ' ' || key, chr(10) order by kind, key)) as keys_hash
    from publication_key group by all
), hashed as (
    select unified_individual_id, document, md5(document || keys_hash) as content_hash
    from built join keys using (unified_individual_id)
)
select h.unified_individual_id, h.content_hash, h.document,
    s.content_hash is not null as is_stored
from hashed h left join publication_stored s using (unified_individual_id)
where h.content_hash is distinct from s.content_hash
"""

_LISTS = {
    "addresses": f"""
        select unified_individual_id, list(to_json({{
            'address_line1': address_line1, 'city_name': city_name,
            'country_id': country_id, 'postal_code_text': postal_code_text,
            'rank': rank, 'record': source_record_id, 'records': records,
            'state_province_name': state_province_name}}) order by rank, id) as found
        from unified.unified_contact_point_address where {_RANGE} group by all""",
    "emails": f"""
        select unified_individual_id, list(to_json({{
            'email_address': email_address, 'is_undeliverable': is_undeliverable,
            'rank': rank, 'record': source_record_id, 'records': records
            }}) order by rank, id) as found
        from unified.unified_contact_point_email where {_RANGE} group by all""",
    "phones": f"""
        select unified_individual_id, list(to_json({{
            'number': formatted_e164_phone_number, 'rank': rank,
            'record': source_record_id, 'records': records, 'type': phone_type_id
            }}) order by rank, id) as found
        from unified.unified_contact_point_phone where {_RANGE} group by all""",
    "records": """
        select l.unified_individual_id, list(to_json({
            'last_modified_date': i.last_modified_date, 'person_name': i.person_name,
            'record': l.record, 'source': i.data_source_id, 'tier': l.tier
            }) order by l.record) as found
        from publication_link l left join dmo.individual i on i.id = l.record
        group by all""",
    "segments": f"""
        select unified_individual_id, list(to_json({{
            'entered_at': entered_at, 'segment': segment
            }}) order by segment, entered_at) as found
        from segments.membership where left_at is null and {_RANGE} group by all""",
    # Every answer and not the outcome, which depends on the day: answers take effect
    # and lapse. They are given to an address, so to all that the person's records have.
    "consent": """
        select k.unified_individual_id, list(to_json({
            'captured_at': c.consent_captured_date_time,
            'channel': c.engagement_channel_type_id, 'consent': c.id,
            'contact_point': k.key, 'contact_point_type': k.kind,
            'effective_from': c.effective_from_date,
            'effective_to': c.effective_to_date, 'purpose': c.data_use_purpose_id,
            'source': c.consent_captured_source_name, 'status': c.consent_status_id
            }) order by k.kind, k.key, c.data_use_purpose_id,
            c.engagement_channel_type_id, c.consent_captured_date_time, c.id) as found
        from publication_key k join dmo.contact_point_consent c
            on c.contact_point_type_id = k.kind and c.contact_point_value = k.key
        where k.kind in ('email', 'phone')
        group by all""",
}

_SUMMARIES = {
    "cases": f"""
        select l.unified_individual_id, json_object(
            'count', count(*), 'open', count(*) filter (c.is_open),
            'recent', to_json(list({{
                'case': c.id, 'case_number': c.case_number,
                'closed_date': c.closed_date, 'is_open': c.is_open,
                'opened_date': c.opened_date, 'subject': c.subject
                }} order by c.opened_date desc nulls last, c.id)[:{RECENT}])) as found
        from dmo."case" c join publication_link l on l.record = c.individual_id
        group by all""",
    "orders": f"""
        select l.unified_individual_id, json_object(
            'count', count(*), 'first_date', min(o.purchase_order_date),
            'last_date', max(o.purchase_order_date),
            'recent', to_json(list({{
                'currency_code': o.currency_code, 'date': o.purchase_order_date,
                'net_amount': o.net_amount, 'order': o.id,
                'order_number': o.order_number, 'status': o.sales_order_status_id
                }} order by o.purchase_order_date desc nulls last, o.id)[:{RECENT}])
            ) as found
        from dmo.sales_order o join publication_link l
            on l.record = o.sold_to_customer_id
        group by all""",
}


def documents(connection: duckdb.DuckDBPyConnection) -> str:
    """The query of all documents of one range: ``unified_individual_id, document``.

    Its parameters are ``low`` and ``high``, ids; it reads ``publication_link``.
    """
    facets = {
        name: ("coalesce(to_json({}.found), '[]'::json)", query)
        for name, query in _LISTS.items()
    } | {name: ("{}.found", query) for name, query in _SUMMARIES.items()}
    insights = _insights(connection)
    tables = {name: query for name, (_, query) in facets.items()} | {
        f"insight_{name}": query for name, query in insights.items()
    }
    members = {
        name: shape.format(quoted(name)) for name, (shape, _) in facets.items()
    } | {
        "fields": _fields(connection),
        "insights": _object(
            {name: f"{quoted(f'insight_{name}')}.found" for name in insights}
        ),
        "unified_individual_id": "p.unified_individual_id",
    }
    withs = ", ".join(f"{quoted(n)} as ({query})" for n, query in tables.items())
    joins = "\n".join(
        f"left join {quoted(n)} using (unified_individual_id)" for n in tables
    )
    # A merge into nothing drops what is null, at every depth.
    return f"""
    with {withs}
    select p.unified_individual_id,
        json_merge_patch('{{}}', {_object(members)})::varchar as document
    from (select * from unified.unified_individual where {_RANGE}) p
    {joins}
    """


def _object(members: dict[str, str]) -> str:
    pairs = ", ".join(f"'{name}', {members[name]}" for name in sorted(members))
    return f"json_object({pairs})"


def _fields(connection: duckdb.DuckDBPyConnection) -> str:
    """Each column of the profile as its value and, where it has one, its origin."""
    columns = _published(connection, "unified", "unified_individual")
    origins = {name for name in columns if name.removesuffix("_record") in columns}
    members = {}
    for name in columns:
        if name in origins and name.endswith("_record"):
            continue
        origin = f"'record', p.{quoted(name + '_record')}, "
        members[name] = (
            f"case when p.{quoted(name)} is not null then json_object("
            f"{origin if name + '_record' in columns else ''}"
            f"'value', p.{quoted(name)}) end"
        )
    return _object(members)


def _insights(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Every insight per person; a list where it has several rows for one of them."""
    names = connection.execute(
        """
        select table_name from information_schema.columns
        where table_schema = 'insights' and column_name = 'unified_individual_id'
        order by table_name
        """
    ).fetchall()
    queries = {}
    for (name,) in names:
        table = f"insights.{quoted(name)}"
        columns = _published(connection, "insights", name)
        members = ", ".join(f"'{column}': {quoted(column)}" for column in columns)
        packed = f"to_json({{{members}}})"
        unique = connection.execute(
            f"select count(*) = count(distinct unified_individual_id) from {table}"
        ).fetchone()
        if unique and not unique[0]:
            packed = f"to_json(list({packed} order by {packed}::varchar))"
        group = "" if unique and unique[0] else "group by unified_individual_id"
        queries[name] = f"""
            select unified_individual_id, {packed} as found
            from {table} where {_RANGE} {group}"""
    return queries


def _published(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str
) -> list[str]:
    return [
        column
        for column in columns_of(connection, schema, table)
        if column != "unified_individual_id" and not AGE.search(column)
    ]
