"""Which records have to be compared anew, because they or their identifiers changed.

An identifier that too many carry is left out of what is compared. When a record comes,
goes or changes, the identifiers it carries are counted again, all their records; one
that crosses the limit, up or down, makes every record that carries it differ.
"""

import duckdb

from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.sections import SharedCap
from cdp_assets.identity.shared import (
    carried,
    create_staged_shared,
    name_shared,
    stage_matchable,
    too_many,
)


def stage_changed_nodes(
    connection: duckdb.DuckDBPyConnection, object_name: str
) -> None:
    """Build ``changed_node``: who is new, gone, or compares differently.

    Reads ``changed_record`` and the nodes staged of it.
    """
    connection.execute(
        """
        create or replace temp table changed_node as
        with old as (
            select node_id, record, feature_hash from identity.node
            semi join changed_record using (record)
            where object = $object
        )
        select coalesce(new.node_id, old.node_id) as node_id
        from (from staged_node semi join changed_record using (record)) as new
        full join old using (record)
        where new.feature_hash is distinct from old.feature_hash
        """,
        {"object": object_name},
    )


def stage_recompared(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    model: MatchModel | None,
) -> None:
    """Build ``recompared``, and the compared form of its nodes, ``matchable_new``.

    Also ``staged_shared`` and ``touched_value``: the shared values among those that
    were counted again, and all that were; ``node_now`` and ``matchable_now``: every
    node as it is now.
    """
    create_staged_shared(connection)
    connection.execute(
        f"""
        create or replace temp table touched_value (
            cap varchar, field varchar, value varchar
        );
        create or replace temp table recompared as from changed_node;
        create or replace temp view node_old as
        from identity.node where object = '{object_name}';
        create or replace temp view node_now as
        select * from node_old where node_id not in (from changed_node)
        union all by name
        select * from staged_node where node_id in (from changed_node);
        create or replace temp view matchable_old as
        from identity.matchable_{object_name};
        """
    )
    for field, cap in rules.shared.items():
        _recount(connection, object_name, field, cap)
        name_shared(
            connection,
            field,
            f"""
            select value, field, cap from staged_shared
            union all
            select value, field, cap from identity.shared_identifier
            anti join touched_value using (cap, field, value)
            where object = '{object_name}'
            """,
        )
    connection.execute(
        """
        create or replace temp table recompared_node as
        from node_now where node_id in (from recompared);
        create or replace temp view compared_node as from recompared_node;
        """
    )
    stage_matchable(connection, object_name, rules, model)
    connection.execute(
        """
        create or replace temp table matchable_new as from staged_matchable;
        create or replace temp view matchable_now as
        from matchable_old where node_id not in (from recompared)
        union all by name
        from matchable_new;
        """
    )


def _recount(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    field: str,
    cap: SharedCap,
) -> None:
    """Count the values that changed nodes carry or carried, over all their records."""
    changed = "(from staged_node semi join changed_node using (node_id))"
    connection.execute(
        f"""
        create or replace temp table value_row as
        with old as ({carried(object_name, field, "node_old")}),
        new as ({carried(object_name, field, changed)}),
        seen as (
            select value from old where node_id in (from changed_node)
            union
            select value from new
        )
        select *, true as before, node_id not in (from changed_node) as now
        from old semi join seen using (value)
        union all
        select *, false, true from new
        """
    )
    connection.execute(
        f"""
        create or replace temp table value_count as
        select
            value, records, names,
            {too_many("records", "names", cap)} as shared,
            {too_many("records_before", "names_before", cap)} as was_shared
        from (
            select
                value,
                count(*) filter (where now) as records,
                count(distinct name) filter (where now) as names,
                count(*) filter (where before) as records_before,
                count(distinct name) filter (where before) as names_before
            from value_row
            group by value
        )
        """
    )
    _keep_counts(connection, object_name, field)


def _keep_counts(
    connection: duckdb.DuckDBPyConnection, object_name: str, field: str
) -> None:
    """Note what was counted, and whose identifier changed sides."""
    connection.execute(
        """
        insert into staged_shared
        select $object, 'shared', $field, value, records, names
        from value_count where shared
        """,
        {"object": object_name, "field": field},
    )
    connection.execute(
        "insert into touched_value select 'shared', ?, value from value_count", [field]
    )
    connection.execute(
        """
        insert into recompared
        select distinct node_id from value_row
        semi join (from value_count where shared <> was_shared) using (value)
        where node_id not in (from recompared)
        """
    )
