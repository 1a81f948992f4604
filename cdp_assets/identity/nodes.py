"""Nodes: what is compared of every source record, one row per record.

Built from the canonical model into ``staged_node``, of all records or of those alone
that say something else than when they were resolved last, and promoted to
``identity.node`` together with the people that follow from it. A record keeps its node
id for as long as it exists; its feature hash says whether anything that is compared has
changed, its content hash whether anything at all has.
"""

from pathlib import Path

import duckdb

from cdp_assets.identity.digests import SOURCES, TEXTS, has_table, stage_digests
from cdp_assets.identity.fields import OBJECTS
from cdp_assets.identity.folding import define_macros
from cdp_assets.identity.rules import Ruleset

_FEATURES = {
    name: Path(__file__).with_name(f"{name}_nodes.sql").read_text(encoding="utf-8")
    for name in OBJECTS
}


# A pattern that matches nothing, for fields without blocked patterns.
_NEVER = r"[^\s\S]"


def prepare_nodes(connection: duckdb.DuckDBPyConnection) -> None:
    """Define what building nodes needs, and digest what every record says now."""
    define_macros(connection)
    stage_nicknames(connection)
    _stage_attributes(connection)
    stage_digests(connection)


def stage_nodes(
    connection: duckdb.DuckDBPyConnection,
    ruleset: Ruleset,
    object_name: str,
    *,
    changed_only: bool,
) -> None:
    """Build ``staged_node`` of one object from the canonical model.

    Args:
        connection: The warehouse, after ``prepare_nodes``.
        ruleset: Says which values are blocked.
        object_name: ``individual`` or ``account``.
        changed_only: Of the records in ``changed_record`` alone.
    """
    _block_values(connection, ruleset, object_name)
    for table, columns in SOURCES[object_name].items():
        where = " or ".join(
            f"{column} in (select record from changed_record)" for column in columns
        )
        connection.execute(
            f"create or replace temp view source_{table} as from dmo.{table}"
            + (f" where {where}" if changed_only else "")
        )
    connection.execute(
        f"create or replace temp table node_feature as {_FEATURES[object_name]}"
    )
    only = "semi join changed_record using (record)" if changed_only else ""
    connection.execute(
        f"""
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
            cast(hash(feature) as varchar) as feature_hash,
            digest.content_hash
        from (from node_feature {only}) as feature
        left join identity.node as known on feature.record = known.record
        inner join node_digest as digest on feature.record = digest.record
        """
    )
    connection.execute("drop table node_feature")


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
        # A name is blocked as it is written, too: "неизвестно" is compared in Latin.
        connection.execute(
            f"set variable blocked_{field}_values = list_concat($values, "
            "list_transform($values, lambda value: fold_name(value)))",
            {"values": values or [""]},
        )
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
    seeded = has_table(connection, "reference", "nickname")
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


def _stage_attributes(connection: duckdb.DuckDBPyConnection) -> None:
    """Fold what is compared as plain text; few canonical models have the table."""
    there = has_table(connection, "dmo", TEXTS)
    source = (
        f"dmo.{TEXTS}"
        if there
        else "(select null::varchar as party_id, null::varchar as attribute_name, "
        "null::varchar as attribute_value) where false"
    )
    connection.execute(
        f"""
        create or replace temp table node_attribute as
        select record, map(list(name order by name), list(value order by name))
            as attributes
        from (
            select party_id as record, attribute_name as name,
                string_agg(distinct fold_text(attribute_value), ' '
                    order by fold_text(attribute_value)) as value
            from {source}
            group by all
        )
        where value is not null
        group by record
        """
    )
