"""A canonical model of any size, and what changes in it: deterministic, set-based.

People have one to four records, which say their name, contact points and birthday more
or less completely; some share a home, some an inbox or a telephone with many.
"""

import duckdb

# What a run publishes, whatever numbers runs have.
PUBLISHED = (
    "node",
    "evidence",
    "unified_link_individual",
    "unified_link_account",
    "registry",
    "redirect",
    "shared_identifier",
    "component",
    "conflict",
)

# What belongs to a record: the table, and the column that names the record.
TABLES = {
    "individual": "id",
    "contact_point_email": "party_id",
    "contact_point_phone": "party_id",
    "contact_point_address": "party_id",
    "party_identification": "party_id",
}

FIRST = [
    "Grace",
    "Vincent",
    "Ada",
    "William",
    "Bill",
    "Lena",
    "Lea",
    "Anna",
    "Peter",
    "Petra",
    "Maria",
    "Jose",
    "Sophie",
    "Paul",
    "Thomas",
    "Tom",
    "Elizabeth",
    "Liz",
    "Robert",
    "Bob",
    "Clara",
    "Emil",
    "Johanna",
    "Hans",
    "Ingrid",
    "Karl",
]
LAST = [
    f"{head}{tail}"
    for head in ("Hopp", "Byr", "Tur", "Lovel", "Hub", "Schmid", "Gart", "Wein", "Lang")
    for tail in ("er", "on", "ing", "ace", "mann", "t", "ner", "berg", "feld", "au")
]


def populate(
    connection: duckdb.DuckDBPyConnection, records: int, seed: int = 0
) -> None:
    """Fill the tables of ``conftest.TABLES`` with about so many records."""
    connection.execute(
        f"""
        create or replace temp macro draw(key, what, most) as
            cast(hash(key, what, {seed}) % most as integer);
        create or replace temp table drawn as
        with person as (
            select
                p, if(draw(p, 'home', 8) = 0, p - 1, p) as home,
                $first[1 + draw(p, 'first', len($first))] as first_name,
                date '1940-01-01' + draw(p, 'born', 24000) as birth_date
            from range($people) as people(p)
        )
        select
            person.*,
            'system' || part || '_contact:' || p as record,
            p * 8 + part as r,
            $last[1 + draw(home, 'last', len($last))] || if(
                draw(home, 'rare', 3) = 0, 's' || draw(home, 'more', 400), ''
            ) as last_name
        from person, range(4) as parts(part)
        where part = 0 or draw(p * 8 + part, 'exists', 100) < 45
        """,
        {"people": round(records / 2.35), "first": FIRST, "last": LAST},
    )
    connection.execute(
        """
        insert into dmo.individual by name
        select
            record as id,
            case draw(r, 'given', 12) when 0 then first_name[1] when 1 then null
                else first_name end as first_name,
            if(draw(r, 'typo', 25) = 0, last_name || 'e', last_name) as last_name,
            if(draw(r, 'suffix', 60) = 0, 'jr', null) as name_suffix,
            if(draw(r, 'born', 3) = 0, null, birth_date) as birth_date,
            false as is_anonymous, split_part(record, '_', 1) as data_source_id,
            1 as _load_seq
        from drawn;
        insert into dmo.contact_point_email by name
        select
            record as id, record as party_id, 1 as _load_seq,
            case
                when draw(p, 'office', 40) = 0 then 'info@firm' || draw(p, 'firm', 9)
                else lower(first_name || '.' || last_name) || if(
                    draw(r, 'other', 6) = 0, r, p)
            end || '.org' as email_address,
            email_address as normalised_email
        from drawn where draw(r, 'email', 4) > 0;
        update dmo.contact_point_email
        set email_address = replace(email_address, '.org', '@mail.org'),
            normalised_email = replace(email_address, '.org', '@mail.org')
        where not contains(email_address, '@');
        insert into dmo.contact_point_phone by name
        select
            record as id, record as party_id, 1 as _load_seq,
            '+4930' || (1000000 + if(draw(p, 'switch', 50) = 0, draw(p, 'which', 5),
                home + 100)) as telephone_number,
            telephone_number as formatted_e164_phone_number
        from drawn where draw(r, 'phone', 2) = 0;
        insert into dmo.contact_point_address by name
        select
            record as id, record as party_id, 1 as _load_seq,
            'Long Street ' || draw(home, 'street', 300) as address_line1,
            'City' || draw(home, 'city', 40) as city_name,
            '1' || draw(home, 'city', 40) || draw(home, 'quarter', 50)
                as postal_code_text,
            'DE' as country_id, lower(address_line1) as normalised_address_line1,
            lower(city_name) as normalised_city
        from drawn where draw(r, 'address', 5) > 1;
        insert into dmo.party_identification by name
        select
            record as id, record as party_id, 1 as _load_seq,
            p as identification_number, 'SAP KUNNR' as identification_name,
            'customer_number' as party_identification_type_id
        from drawn where draw(r, 'number', 8) = 0
        """
    )


def plan_changes(
    connection: duckdb.DuckDBPyConnection, changed: int, seed: int = 1
) -> None:
    """Write to the schema ``later`` what about so many records will say.

    Three tenths are deleted and three new, as others with a part missing; a fifth gets
    another's e-mail, a tenth another last name, a tenth an edit that nothing compares.
    """
    connection.execute("drop schema if exists later cascade; create schema later")
    connection.execute(
        f"""
        create table later.picked as
        select id, row_number() over (order by hash(id, {seed})) * 10 // ? as part
        from dmo.individual
        where not coalesce(is_anonymous, false)
        qualify row_number() over (order by hash(id, {seed})) < ?
        """,
        [changed, changed],
    )
    for table, record in TABLES.items():
        connection.execute(
            f"""
            create table later.{table} as from dmo.{table}
            where {record} not in (select id from later.picked where part < 3)
            """
        )
        columns = [
            name
            for name, *_ in connection.execute(f"describe later.{table}").fetchall()
        ]
        renamed = ", ".join(
            f"{name} || '~{seed}'" if name in ("id", record) else name
            for name in columns
        )
        some = "" if table == "individual" else f"and hash({record}, {seed}) % 4 > 0"
        connection.execute(
            f"""
            insert into later.{table} select {renamed} from dmo.{table}
            where {record} in (select id from later.picked where part >= 7) {some}
            """
        )
    connection.execute(
        f"""
        update later.contact_point_email as mine
        set email_address = other.email_address,
            normalised_email = other.normalised_email
        from (
            select
                party_id, lead(email_address) over w as email_address,
                lead(normalised_email) over w as normalised_email
            from dmo.contact_point_email
            where party_id in (select id from later.picked where part in (3, 4))
            window w as (order by hash(party_id, {seed}), id)
        ) as other
        where mine.party_id = other.party_id and other.email_address is not null;
        update later.individual set last_name = last_name || 'e'
        where id in (select id from later.picked where part = 5);
        update later.individual set title_name = 'Dr'
        where id in (select id from later.picked where part = 6);
        create table later.changed as
        select id as record from later.picked
        union all
        select id || '~{seed}' from later.picked where part >= 7;
        """
    )


def make_changes(
    connection: duckdb.DuckDBPyConnection, batch: int = 0, of: int = 1, order: int = 0
) -> None:
    """Let one batch of what was planned come to pass; ``order`` shuffles them."""
    connection.execute(
        f"""
        create or replace temp table arriving as
        select record from later.changed where hash(record, {order}) % {of} = {batch}
        """
    )
    for table, record in TABLES.items():
        connection.execute(
            f"""
            delete from dmo.{table} where {record} in (from arriving);
            insert into dmo.{table} by name
            from later.{table} where {record} in (from arriving);
            """
        )
