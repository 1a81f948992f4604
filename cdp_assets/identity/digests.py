"""What every record says, digested: who changed since they were resolved last."""

import duckdb

from cdp_assets.declarations import quoted

# The canonical tables a profile shows, and the column that names the record.
_CONTENT = {
    "individual": "id",
    "account": "id",
    "contact_point_email": "party_id",
    "contact_point_phone": "party_id",
    "contact_point_address": "party_id",
    "party_identification": "party_id",
}


# Texts beside the attributes of the canonical model: there where a mapping makes it.
TEXTS = "party_attribute"


# Where features come from, and the columns that name the records concerned.
SOURCES = {
    "individual": {
        "individual": ["id"],
        "contact_point_email": ["party_id"],
        "contact_point_phone": ["party_id"],
        "contact_point_address": ["party_id"],
        "party_identification": ["party_id"],
        "lead": ["individual_id", "converted_contact_id"],
    },
    "account": {"account": ["id"], "party_identification": ["party_id"]},
}


def stage_changed_records(
    connection: duckdb.DuckDBPyConnection, object_name: str
) -> None:
    """Build ``changed_record``: who is new, gone, or says something else."""
    connection.execute(
        """
        create or replace temp table changed_record as
        with new as (
            select record, content_hash from node_digest where object = $object
        ),
        old as (
            select record, content_hash from identity.node where object = $object
        )
        select record from new full join old using (record)
        where new.content_hash is distinct from old.content_hash
        """,
        {"object": object_name},
    )


def count_nodes(connection: duckdb.DuckDBPyConnection, object_name: str) -> int:
    """How many records of one object there are now."""
    return int(
        connection.execute(
            "select count(*) from node_digest where object = ?", [object_name]
        ).fetchall()[0][0]
    )


def has_table(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether there is such a table: some canonical models have it, some do not."""
    return bool(
        connection.execute(
            """
            select count(*) from duckdb_columns()
            where database_name = current_database()
                and schema_name = ? and table_name = ?
            """,
            [schema, name],
        ).fetchall()[0][0]
    )


def stage_digests(connection: duckdb.DuckDBPyConnection) -> None:
    """Digest everything a record says, apart from when it was loaded.

    Every record is read: a row may differ although its own stream has no news, because
    its mapping joins another or is another. A sum of 64-bit hashes takes a tenth of the
    processor that sorted md5 digests took, and the order of rows cannot matter.
    """
    digests = []
    texts = {TEXTS: "party_id"} if has_table(connection, "dmo", TEXTS) else {}
    for table, record in (_CONTENT | texts).items():
        columns = [
            quoted(name)
            for (name,) in connection.execute(
                """
                select column_name from duckdb_columns()
                where database_name = current_database()
                    and schema_name = 'dmo' and table_name = ?
                    and column_name <> '_load_seq'
                order by column_name
                """,
                [table],
            ).fetchall()
        ]
        digests.append(
            f"select {quoted(record)} as record, "
            f"hash('{table}', {', '.join(columns)}) as digest from dmo.{quoted(table)}"
        )
    digests.extend(
        f"select {column}, hash('lead', individual_id, converted_contact_id) "
        f"from dmo.lead where {column} is not null"
        for column in SOURCES["individual"]["lead"]
    )
    connection.execute(
        f"""
        create or replace temp table node_digest as
        with known as (
            select id as record, 'individual' as object from dmo.individual
            where not coalesce(is_anonymous, false)
            union all
            select id, 'account' from dmo.account
        )
        select record, object, cast(sum(digest) as varchar) as content_hash
        from ({" union all ".join(digests)})
        inner join known using (record)
        group by record, object
        """
    )
