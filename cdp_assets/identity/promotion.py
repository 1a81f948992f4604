"""Publishing a staged result: all of it in one transaction, and only what differs.

A run that changes nothing writes nothing but its own row in ``identity.run``.
"""

import datetime as dt
from dataclasses import dataclass

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.stability import redirect_kind


@dataclass(frozen=True)
class Changes:
    """How many people a promotion created, changed and retired."""

    created: int
    changed: int
    retired: int


def stage_changes(connection: duckdb.DuckDBPyConnection) -> Changes:
    """Build ``staged_change``: who is new, different or gone.

    A person differs when a record joined or left, or when anything that one of the
    person's records says was edited, compared or not.
    """
    connection.execute(
        """
        create or replace temp table staged_change as
        with moved as (
            select old.unified_id as old_id, new.unified_id as new_id
            from published as old
            full join staged_link as new using (record)
            where old.unified_id is distinct from new.unified_id
        ),
        edited as (
            select link.unified_id
            from staged_link as link
            inner join staged_node as new using (record)
            inner join identity.node as old using (record)
            where new.content_hash <> old.content_hash
        ),
        touched as (
            select old_id as unified_id from moved
            union
            select new_id from moved
            union
            select unified_id from edited
        )
        select
            unified_id,
            case
                when unified_id in (select unified_id from staged_mint) then 'created'
                when unified_id in (select retired_id from staged_retired)
                    then 'retired'
                else 'changed'
            end as kind
        from touched
        where unified_id is not null
        """
    )
    counts = dict(
        connection.execute(
            "select kind, count(*) from staged_change group by kind"
        ).fetchall()
    )
    return Changes(*(counts.get(kind, 0) for kind in ("created", "changed", "retired")))


def promote_people(
    connection: duckdb.DuckDBPyConnection, object_name: str, *, run: int
) -> None:
    """Publish links, ids, redirects and evidence of one object.

    The caller holds the transaction.
    """
    _sync_links(connection, object_name)
    connection.execute(
        """
        insert into identity.registry
        select unified_id, $object, $run, minted_from, null from staged_mint
        order by unified_id
        """,
        {"object": object_name, "run": run},
    )
    connection.execute(
        """
        update identity.registry set retired_run = ?
        where unified_id in (select retired_id from staged_retired)
        """,
        [run],
    )
    _redirect(connection, run)
    _sync(connection, "evidence", object_name, ["node_l", "node_r", "kind", "rule"])
    _sync(connection, "shared_identifier", object_name, ["field", "value"])


def promote_changes(
    connection: duckdb.DuckDBPyConnection, object_name: str, *, run: int
) -> None:
    """Tell the consumers who changed, and publish the nodes that changes are told from.

    Consumers of the change list read people only; companies are few enough to rebuild.
    """
    if object_name == "individual":
        connection.execute(
            """
            insert into identity.change (unified_individual_id, kind, run)
            select unified_id, kind, ? from staged_change order by unified_id
            """,
            [run],
        )
    _sync(connection, "node", object_name, ["record"])


def promote_model(
    connection: duckdb.DuckDBPyConnection, model: MatchModel, as_of: dt.datetime
) -> None:
    """Keep the model that evidence names, once."""
    import json

    connection.execute(
        "insert or ignore into identity.match_model values (?, ?, ?, ?)",
        [model.version, json.dumps(model.settings), as_of, "shipped with the ruleset"],
    )


def _sync_links(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    table = f"identity.unified_link_{object_name}"
    connection.execute(
        f"""
        create or replace temp table link_gone as
        select * from published except select * from staged_link;
        create or replace temp table link_new as
        select unified_id, record, tier, linked_at_run from staged_link
        except
        select unified_id, record, tier, linked_at_run from published;
        delete from {table} where record in (select record from link_gone);
        insert into {table} select * from link_new order by record;
        """
    )


def _sync(
    connection: duckdb.DuckDBPyConnection, name: str, object_name: str, key: list[str]
) -> None:
    """Make one object's rows of ``identity.<name>`` those of ``staged_<source>``."""
    columns = ", ".join(
        quoted(row[0])
        for row in connection.execute(
            """
            select column_name from duckdb_columns()
            where schema_name = 'identity' and table_name = ? order by column_index
            """,
            [name],
        ).fetchall()
    )
    source = {"shared_identifier": "staged_shared"}.get(name, f"staged_{name}")
    same = " and ".join(f"target.{column} = gone.{column}" for column in key)
    connection.execute(
        f"""
        create or replace temp table sync_gone as
        select {columns} from identity.{name} where object = $object
        except
        select {columns} from {source} where object = $object
        """,
        {"object": object_name},
    )
    connection.execute(
        f"""
        create or replace temp table sync_new as
        select {columns} from {source} where object = $object
        except
        select {columns} from identity.{name} where object = $object
        """,
        {"object": object_name},
    )
    connection.execute(
        f"""
        delete from identity.{name} as target using sync_gone as gone
        where target.object = gone.object and {same}
        """
    )
    connection.execute(
        f"insert into identity.{name} select * from sync_new order by " + ", ".join(key)
    )


def _redirect(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """Add the retired ids, and shorten older redirects that led to them."""
    connection.execute(
        f"""
        create or replace temp table redirect_longer as
        select
            retired_id,
            run,
            coalesce(
                list(distinct live_id order by live_id)
                    filter (where live_id is not null),
                []
            ) as live_ids
        from (
            select
                older.retired_id,
                older.run,
                unnest(if(
                    retired.retired_id is null, [older.live_id],
                    if(len(retired.live_ids) = 0, [null], retired.live_ids)
                )) as live_id
            from (
                select retired_id, run, unnest(live_ids) as live_id
                from identity.redirect
            ) as older
            left join staged_retired as retired on older.live_id = retired.retired_id
        )
        where retired_id in (
            select redirect.retired_id from (
                select retired_id, unnest(live_ids) as live_id from identity.redirect
            ) as redirect
            semi join staged_retired on redirect.live_id = staged_retired.retired_id
        )
        group by retired_id, run;
        delete from identity.redirect
        where retired_id in (select retired_id from redirect_longer);
        insert into identity.redirect
        select retired_id, {redirect_kind("live_ids")}, live_ids, run
        from redirect_longer
        order by retired_id;
        """
    )
    connection.execute(
        f"""
        insert into identity.redirect
        select retired_id, {redirect_kind("live_ids")}, live_ids, ?
        from staged_retired
        order by retired_id
        """,
        [run],
    )
