"""Nodes: what is compared of every source record, one row per record.

Built from the canonical model into ``staged_node``, and promoted to ``identity.node``
together with the people that follow from it. A record keeps its node id for as long as
it exists; its feature hash says whether anything that is compared has changed, its
content hash whether anything at all has.
"""

from pathlib import Path

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.identity.fields import OBJECTS
from cdp_assets.identity.folding import define_macros
from cdp_assets.identity.rules import Ruleset

_FEATURES = {
    name: Path(__file__).with_name(f"{name}_nodes.sql").read_text(encoding="utf-8")
    for name in OBJECTS
}

# The canonical tables a profile shows, and the column that names the record.
_CONTENT = {
    "individual": "id",
    "account": "id",
    "contact_point_email": "party_id",
    "contact_point_phone": "party_id",
    "contact_point_address": "party_id",
    "party_identification": "party_id",
}

# A pattern that matches nothing, for fields without blocked patterns.
_NEVER = r"[^\s\S]"


def stage_nodes(connection: duckdb.DuckDBPyConnection, ruleset: Ruleset) -> None:
    """Build ``staged_node`` from the canonical model."""
    define_macros(connection)
    stage_nicknames(connection)
    _stage_content(connection)
    features = []
    for name, sql in _FEATURES.items():
        _block_values(connection, ruleset, name)
        connection.execute(f"create or replace temp table {name}_node as {sql}")
        features.append(f"from {name}_node")
    connection.execute(
        f"create or replace temp view node_feature as {' union all '.join(features)}"
    )
    connection.execute(
        """
        create or replace temp table staged_node as
        select
            feature.*,
            coalesce(
                known.node_id,
                (select coalesce(max(node_id), 0) from identity.node)
                + row_number() over (
                    partition by known.node_id is null order by feature.record
                )
            ) as node_id,
            md5(cast(feature as varchar)) as feature_hash,
            content.content_hash
        from node_feature as feature
        left join identity.node as known on feature.record = known.record
        inner join node_content as content on feature.record = content.record
        """
    )


def count_nodes(connection: duckdb.DuckDBPyConnection, object_name: str) -> int:
    """How many records of one object are staged."""
    return int(
        connection.execute(
            "select count(*) from staged_node where object = ?", [object_name]
        ).fetchall()[0][0]
    )


def _block_values(
    connection: duckdb.DuckDBPyConnection, ruleset: Ruleset, name: str
) -> None:
    """Define ``kept_value``: null where the ruleset blocks the value.

    Session variables fold into the plan as constants; a join per field would read
    every contact point once more.
    """
    blocked = getattr(ruleset, name).blocked
    for field in OBJECTS[name]:
        declared = blocked.get(field)
        values = declared.values if declared else []
        patterns = declared.patterns if declared else []
        either = "|".join(f"(?:{pattern})" for pattern in patterns)
        connection.execute(f"set variable blocked_{field}_values = ?", [values or [""]])
        connection.execute(f"set variable blocked_{field}_like = ?", [either or _NEVER])
    connection.execute(
        """
        create or replace temp macro kept_value(field, value) as
            case when not list_contains(
                getvariable('blocked_' || field || '_values'), value
            ) and not regexp_full_match(
                value, getvariable('blocked_' || field || '_like')
            ) then value end
        """
    )


def stage_nicknames(connection: duckdb.DuckDBPyConnection) -> None:
    """Fold the nicknames as names are folded; there are none without the seed."""
    seeded = connection.execute(
        """
        select count(*) from duckdb_tables()
        where schema_name = 'reference' and table_name = 'nickname'
        """
    ).fetchall()[0][0]
    source = (
        "reference.nickname"
        if seeded
        else "(select null::varchar as name, null::varchar as canonical) where false"
    )
    connection.execute(
        f"""
        create or replace temp table node_nickname as
        select fold_name(name) as name, min(fold_name(canonical)) as canonical
        from {source}
        group by 1
        """
    )


def _stage_content(connection: duckdb.DuckDBPyConnection) -> None:
    """Digest everything a record says, apart from when it was loaded."""
    digests = []
    for table, record in _CONTENT.items():
        columns = [
            quoted(name)
            for (name,) in connection.execute(
                """
                select column_name from duckdb_columns()
                where schema_name = 'dmo' and table_name = ?
                    and column_name <> '_load_seq'
                order by column_name
                """,
                [table],
            ).fetchall()
        ]
        digests.append(
            f"select {quoted(record)} as record, md5(cast("
            f"struct_pack({', '.join(columns)}) as varchar)) as digest "
            f"from dmo.{quoted(table)}"
        )
    connection.execute(
        f"""
        create or replace temp table node_content as
        select record, md5(string_agg(digest, '' order by digest)) as content_hash
        from ({" union all ".join(digests)})
        group by record
        """
    )
