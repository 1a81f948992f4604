"""Which answers to consent there are for a contact point, wherever they are found.

``gather_answers`` makes the temporary table ``consent_answer`` that ``consent`` decides
over. Answers come from four places, and the last three only forbid:

- the rows of ``dmo.contact_point_consent`` about the contact point;
- opt-outs there without a contact point that can be read: they hold for everything the
  person of their record is reached at;
- opt-outs that were seen before and whose record is gone, or still opted out without
  naming the contact point (``governance.opt_out``);
- records in quarantine that may say no: nobody is written to at an address that is
  named in one, nor the person whose record it is, before it was replayed or dropped.

Contact points are compared in one form, ``consent_key``: two spellings that reach one
inbox (gmail's dots, ``+news``, a domain in letters or in punycode) are one.
"""

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.governance.consent_words import CHANNELS, PURPOSES, aim_of, status_of
from cdp_assets.streams.declared import ConsentPlace
from cdp_assets.streams.spec import StreamSpec, load_streams

_KEY = """
    create or replace temp macro consent_spelling(value) as
        case when regexp_matches(value, '[^\\x00-\\x7F]|xn--')
            then cdp_ascii_domain(value) else value end;
    create or replace temp macro consent_inbox(value) as
        case when split_part(value, '@', 2) in ('gmail.com', 'googlemail.com')
            then coalesce(nullif(replace(split_part(
                split_part(value, '@', 1), '+', 1), '.', ''), ''),
                split_part(value, '@', 1)) || '@gmail.com'
            else value end;
    create or replace temp macro consent_key(kind, value) as
        case when kind = 'email' then consent_inbox(consent_spelling(lower(value)))
            else value end;
"""

# An address in free text: what stands around an @ up to what cannot be part of one.
_ADDRESS = r"""[^\s"''<>()\[\]{}:;,|/\\]+@[^\s"''<>()\[\]{}:;,|/\\@]*[\p{L}\p{N}]"""
_NUMBER = r"(?:\+|\b00)[\d ()./-]{6,20}\d"


def gather_answers(
    connection: duckdb.DuckDBPyConnection, specs: dict[str, StreamSpec] | None = None
) -> None:
    """Make ``consent_answer`` and ``consent_key``; reading the warehouse is enough.

    Args:
        connection: The warehouse.
        specs: The streams whose quarantine is looked at; default all declared.
    """
    _make_key(connection)
    _read_canonical(connection)
    _find_refused(connection, specs or load_streams())
    connection.execute(
        """
        create or replace temp table consent_answer as
        select contact_point_type, contact_point_key, id, purpose, channel, status,
            source, captured_at, effective_from, effective_to
        from consent_said where contact_point_key is not null
        union all
        select point.kind, point.key, id, purpose, channel, status, source,
            captured_at, effective_from, effective_to
        from consent_said as said inner join consent_reach as point
            on point.record = said.party_id and point.kind = said.contact_point_type
        where contact_point_key is null and status = 'opt_out'
        union all
        select contact_point_type, contact_point_key, id, purpose, channel, 'opt_out',
            source, captured_at, effective_from, effective_to
        from governance.opt_out as seen
        where not exists (
                select 1 from consent_said as said where said.id = seen.id
                    and said.contact_point_key = seen.contact_point_key
            )
            and (
                seen.source_record_id not in (select id from dmo.individual)
                or seen.source_record_id in (
                    select source_record_id from consent_said where status = 'opt_out'
                )
            )
        union all
        select kind, key, id, 'all', 'all', 'quarantined', 'quarantine', null, null,
            null
        from consent_refused
        """
    )


def remember_opt_outs(connection: duckdb.DuckDBPyConnection) -> None:
    """Add what opts out now to ``governance.opt_out``; after ``gather_answers``."""
    connection.execute(
        """
        create or replace temp table consent_news as
        select id, contact_point_type, contact_point_key, source_record_id, purpose,
            channel, source, captured_at, effective_from, effective_to
        from consent_said where status = 'opt_out' and contact_point_key is not null
        except from governance.opt_out
        """
    )
    connection.execute(
        """
        delete from governance.opt_out where (id, contact_point_key) in (
            select (id, contact_point_key) from consent_news
        )
        """
    )
    connection.execute("insert into governance.opt_out from consent_news")
    connection.execute("drop table consent_news")


def _read_canonical(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"""
        create or replace temp table consent_said as
        select id, contact_point_type_id as contact_point_type,
            consent_key(contact_point_type_id, contact_point_value)
                as contact_point_key,
            party_id, source_record_id,
            {aim_of("data_use_purpose_id", PURPOSES)} as purpose,
            {aim_of("engagement_channel_type_id", CHANNELS)} as channel,
            {status_of("consent_status_id")} as status,
            consent_captured_source_name as source,
            consent_captured_date_time as captured_at,
            effective_from_date as effective_from, effective_to_date as effective_to
        from dmo.contact_point_consent
        """
    )


def _make_key(connection: duckdb.DuckDBPyConnection) -> None:
    known = connection.execute(
        "select 1 from duckdb_functions() where function_name = 'cdp_ascii_domain'"
    ).fetchone()
    if not known:
        # Called for the few addresses outside ASCII alone; DuckDB has no punycode.
        connection.create_function(
            "cdp_ascii_domain", _ascii_domain, ["varchar"], "varchar"
        )
    for statement in _KEY.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def _ascii_domain(address: str) -> str:
    """The address with its domain in punycode, or as it is where that is impossible."""
    mailbox, at, domain = address.rpartition("@")
    try:
        return mailbox + at + domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return address


def _find_refused(
    connection: duckdb.DuckDBPyConnection, specs: dict[str, StreamSpec]
) -> None:
    """Fill ``consent_refused``: what open quarantine names, where it may say no."""
    connection.execute(
        "create or replace temp table consent_doubtful "
        "(id varchar, text varchar, record varchar)"
    )
    for spec in specs.values():
        if spec.consent is not None:
            _find_doubtful(connection, spec, spec.consent)
    connection.execute(
        """
        create or replace temp table consent_reach as
        select link.record, point.kind, point.key
        from identity.unified_link_individual as link join (
            select unified_individual_id, 'email' as kind,
                consent_key('email', email_address) as key
            from unified.unified_contact_point_email
            union all
            select unified_individual_id, 'phone', formatted_e164_phone_number
            from unified.unified_contact_point_phone
        ) as point using (unified_individual_id)
        where link.record in (
            select party_id from consent_said where contact_point_key is null
            union all
            select record from consent_doubtful
        )
        """
    )
    connection.execute(
        f"""
        create or replace temp table consent_refused as
        select distinct id, kind, key from (
            select id, 'email' as kind, consent_key('email', unnest(
                regexp_extract_all(text, '{_ADDRESS}'))) as key
            from consent_doubtful
            union all
            select id, 'phone', regexp_replace(regexp_replace(unnest(
                regexp_extract_all(text, '{_NUMBER}')), '^00', '+'), '[^+0-9]', '', 'g')
            from consent_doubtful
            union all
            select id, reach.kind, reach.key
            from consent_doubtful join consent_reach as reach using (record)
        )
        """
    )


def _find_doubtful(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, place: ConsentPlace
) -> None:
    """Add a stream's open records that may say no; what cannot be read may."""
    parts = {f"key{i}": _path(spec, name) for i, name in enumerate(spec.primary_key)}
    key = " || '|' || ".join(f"json_extract_string(sent, ${part})" for part in parts)
    connection.execute(
        f"""
        insert into consent_doubtful
        select 'quarantine:' || stream || ':' || file || coalesce(':' || line, ''),
            lower(record), stream || ':' || {key}
        from (
            select *, if(json_valid(record), record, null) as sent from ops.quarantine
            where replayed_load_seq is null and stream = $stream
        )
        where not coalesce(list_contains(
            $harmless, lower(trim(json_extract_string(sent, $answer)))), false)
        """,
        {
            "stream": spec.name,
            "answer": _path(spec, place.field),
            "harmless": [value.lower() for value in place.not_an_opt_out],
            **parts,
        },
    )


def _path(spec: StreamSpec, name: str) -> str:
    """Where a field, or ``field.key`` in a JSON one, stands in a record as it came."""
    field, *keys = name.split(".")
    return "$" + "".join(f".{quoted(step)}" for step in (spec.sent_as(field), *keys))
