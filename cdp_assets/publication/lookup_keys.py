"""The keys that lead to a person: ids, records, e-mail addresses, phone numbers."""

import duckdb

_LINKS = """
create or replace temp table publication_link as
select unified_individual_id, record, tier
from identity.unified_link_individual
where {people}
"""

# An e-mail or phone is a key of everybody whose record carries it, junk included: the
# answer to a shared address is the list of the people who share it.
KEYS = """
create or replace temp table publication_key as
select {distinct} kind, key, unified_individual_id from (
    select 'id' as kind, unified_individual_id as key, unified_individual_id
    from unified.unified_individual where {people}
    union all
    select 'retired_id', retired_id, unified_individual_id
    from (
        select retired_id, unnest(live_ids) as unified_individual_id
        from identity.redirect
    ) where {people}
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


def make_keys(
    connection: duckdb.DuckDBPyConnection, people: str, *, distinct: bool = False
) -> None:
    """Make ``publication_link`` and ``publication_key``.

    Args:
        connection: The warehouse.
        people: The condition on the person: ``facets.EVERYBODY`` or ``CHOSEN``.
        distinct: Whether a key that a person's records give twice is there once.
    """
    connection.execute(_LINKS.format(people=people))
    connection.execute(
        KEYS.format(people=people, distinct="distinct" if distinct else "")
    )
