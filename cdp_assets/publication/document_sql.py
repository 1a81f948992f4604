"""The SQL that turns tables into one JSON document per person, with its lookup keys.

Columns and insights are read from the catalogue: a new one is published without a
change here. A signature of everybody's facts comes first, in one pass over the tables;
only people whose signature changed have their documents built, some at a time, so
memory follows how many at a time and not how many people there are. Objects have sorted
keys: the same facts give the same bytes.

A document is put together as text: of JSON values, every part would be parsed and
written again at each step, 0.21 ms a person instead of 0.10.
"""

import hashlib
import re

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.digests import columns_of
from cdp_assets.publication.facets import (
    CHOSEN,
    EVERYBODY,
    LISTS,
    SUMMARIES,
    Facet,
)
from cdp_assets.publication.lookup_keys import KEYS, make_keys

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

# Filled in with the documents; ``publication_stored`` holds what the store has.
_CHANGED = """
create or replace temp table publication_changed as
with built as ({documents}), keys as (
    select unified_individual_id,
        md5(string_agg(kind || ' ' || key, chr(10) order by kind, key)) as keys_hash
    from publication_key group by all
), hashed as (
    select unified_individual_id, document, md5(document || keys_hash) as content_hash
    from built join keys using (unified_individual_id)
)
select unified_individual_id, h.content_hash, h.document, signature.signature,
    s.content_hash is not null as is_stored,
    h.content_hash is distinct from s.content_hash as is_different
from hashed h
join publication_signature as signature using (unified_individual_id)
left join publication_stored s using (unified_individual_id)
"""


def sign(connection: duckdb.DuckDBPyConnection) -> str:
    """Make ``publication_signature``: a hash of all that is published, per person.

    It is a sum of 64-bit hashes of rows, and begins with a hash of the statements and
    of DuckDB's version: when documents are made otherwise, everybody's are built anew.
    A key that a person's records give twice counts twice: telling them apart costs
    more.

    Returns:
        The query of the documents, for ``build``.
    """
    make_keys(connection, EVERYBODY)
    facets = _facets(connection)
    parts = [facet.signatures(name) for name, facet in facets.items()]
    parts.append(_PROFILE.format(item=_profile_item(connection)))
    parts.append(
        "select unified_individual_id, sum(hash('key', kind, key)::hugeint) as part "
        "from publication_key group by unified_individual_id"
    )
    documents = _documents(connection, facets)
    statements = f"{duckdb.__version__} {parts} {documents} {KEYS}"
    made_by = hashlib.sha256(statements.encode()).hexdigest()
    connection.execute(
        f"""
        create or replace temp table publication_signature as
        select unified_individual_id,
            '{made_by[:12]}-' || sum(part)::hugeint::varchar as signature
        from ({" union all ".join(parts)})
        semi join unified.unified_individual using (unified_individual_id)
        group by unified_individual_id
        """
    )
    return documents


def build(connection: duckdb.DuckDBPyConnection, documents: str) -> None:
    """Make ``publication_changed`` and ``publication_key`` for the people chosen.

    Reads ``publication_person`` (their ids), ``publication_signature`` and
    ``publication_stored``.
    """
    make_keys(connection, CHOSEN, distinct=True)
    connection.execute(_CHANGED.format(documents=documents))


def traced_fields(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The fields of a profile that name the record they come from."""
    columns = _published(connection, "unified", "unified_individual")
    return [name for name in columns if f"{name}_record" in columns]


_PROFILE = """
select unified_individual_id, sum(hash('fields', {item})::hugeint) as part
from unified.unified_individual group by unified_individual_id
"""


def _profile_item(connection: duckdb.DuckDBPyConnection) -> str:
    columns = _published(connection, "unified", "unified_individual")
    return f"row({', '.join(quoted(name) for name in columns)})"


def _facets(connection: duckdb.DuckDBPyConnection) -> dict[str, Facet]:
    insights = {
        f"insight_{name}": _insight(connection, name) for name in _insights(connection)
    }
    return LISTS | SUMMARIES | insights


def _documents(connection: duckdb.DuckDBPyConnection, facets: dict[str, Facet]) -> str:
    """The query of the documents: ``unified_individual_id, document``."""
    insights = {
        name.removeprefix("insight_"): f"{quoted(name)}.found"
        for name in facets
        if name.startswith("insight_")
    }
    members = (
        {name: f"'[' || coalesce({quoted(name)}.found, '') || ']'" for name in LISTS}
        | {name: f"{quoted(name)}.found" for name in SUMMARIES}
        | {
            "fields": _fields(connection),
            "insights": _object(insights),
            "unified_individual_id": "to_json(p.unified_individual_id)::varchar",
        }
    )
    withs = ", ".join(
        f"{quoted(name)} as ({facet.documents()})" for name, facet in facets.items()
    )
    joins = "\n".join(
        f"left join {quoted(name)} using (unified_individual_id)" for name in facets
    )
    return f"""
    with {withs}
    select p.unified_individual_id, {_object(members)} as document
    from (select * from unified.unified_individual where {CHOSEN}) p
    {joins}
    """


def _object(members: dict[str, str]) -> str:
    """An expression for a JSON object; members that are null are left out."""
    pairs = ", ".join(f"'\"{name}\":' || {members[name]}" for name in sorted(members))
    return f"'{{' || concat_ws(',', {pairs or 'null'}) || '}}'"


def _fields(connection: duckdb.DuckDBPyConnection) -> str:
    """Each column of the profile as its value and, where it has one, its origin."""
    columns = _published(connection, "unified", "unified_individual")
    members = {}
    for name in columns:
        if name.endswith("_record") and name.removesuffix("_record") in columns:
            continue
        found = {"value": f"to_json(p.{quoted(name)})::varchar"}
        if f"{name}_record" in columns:
            found["record"] = f"to_json(p.{quoted(f'{name}_record')})::varchar"
        members[name] = (
            f"case when p.{quoted(name)} is not null then {_object(found)} end"
        )
    return _object(members)


def _insights(connection: duckdb.DuckDBPyConnection) -> list[str]:
    names = connection.execute(
        """
        select table_name from information_schema.columns
        where table_schema = 'insights' and column_name = 'unified_individual_id'
        order by table_name
        """
    ).fetchall()
    return [name for (name,) in names]


def _insight(connection: duckdb.DuckDBPyConnection, name: str) -> Facet:
    """An insight; a list where it has several rows for one person."""
    table = f"insights.{quoted(name)}"
    columns = _published(connection, "insights", name)
    members = ", ".join(f"'{column}': {quoted(column)}" for column in columns)
    unique = connection.execute(
        f"select count(*) = count(distinct unified_individual_id) from {table}"
    ).fetchone()
    found = "any_value(to_json({item})::varchar)"
    if unique and not unique[0]:
        one = "to_json({item})::varchar"
        found = f"'[' || string_agg({one}, ',' order by {one}) || ']'"
    return Facet(rows=f"{table} where {{people}}", item=f"{{{members}}}", found=found)


def _published(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str
) -> list[str]:
    return [
        column
        for column in columns_of(connection, schema, table)
        if column != "unified_individual_id" and not AGE.search(column)
    ]
