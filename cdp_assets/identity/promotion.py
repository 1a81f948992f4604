"""Publishing a staged result: all of it in one transaction, and only what differs.

A run that changes nothing writes nothing but its own row in ``identity.run``.
"""

import datetime as dt
import json

import duckdb

from cdp_assets.identity.compared import apply_matchable
from cdp_assets.identity.delta import KEYS
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.redirects import apply_redirects


def promote(
    connection: duckdb.DuckDBPyConnection, object_name: str, *, run: int
) -> None:
    """Publish what is staged; the caller holds the transaction.

    Consumers of the change list read people only: companies are few enough to rebuild.
    """
    for table, key in KEYS.items():
        _apply_delta(connection, table, key)
    apply_matchable(connection, object_name)
    _apply_links(connection, object_name)
    _append_history(connection, object_name, run)
    _apply_registry(connection, object_name, run)
    apply_redirects(connection, run)
    if object_name == "individual":
        connection.execute(
            """
            insert into identity.change (unified_individual_id, kind, run)
            select unified_id, kind, ? from staged_change order by unified_id
            """,
            [run],
        )


def promote_model(
    connection: duckdb.DuckDBPyConnection, model: MatchModel, as_of: dt.datetime
) -> None:
    """Keep what evidence was weighed by, once per version."""
    connection.execute(
        "insert or ignore into identity.match_model "
        "(model_version, settings, created_at, note, frequencies) "
        "values (?, ?, ?, ?, ?)",
        [
            model.version,
            json.dumps(model.settings),
            as_of,
            "named by the ruleset of a run",
            json.dumps(model.frequencies),
        ],
    )


def _apply_delta(
    connection: duckdb.DuckDBPyConnection, name: str, key: list[str]
) -> None:
    same = " and ".join(f"target.{column} = gone.{column}" for column in key)
    connection.execute(
        f"""
        delete from identity.{name} as target using {name}_gone as gone
        where target.object = gone.object and {same}
        """
    )
    connection.execute(f"insert into identity.{name} from {name}_new")


def _apply_links(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    table = f"identity.unified_link_{object_name}"
    connection.execute(
        f"""
        delete from {table} as target using link_gone as gone
        where target.record = gone.record
        """
    )
    connection.execute(f"insert into {table} from link_new order by record")


def _append_history(
    connection: duckdb.DuckDBPyConnection, object_name: str, run: int
) -> None:
    """Note who changed their person; a record that is gone has none."""
    connection.execute(
        """
        insert into identity.link_history (object, record, unified_id, run)
        select $object, record, new.unified_id, $run
        from link_new as new full join link_gone as gone using (record)
        where new.unified_id is distinct from gone.unified_id
        order by record
        """,
        {"object": object_name, "run": run},
    )


def _apply_registry(
    connection: duckdb.DuckDBPyConnection, object_name: str, run: int
) -> None:
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
        update identity.registry as registry set retired_run = ?
        from staged_retired as retired where registry.unified_id = retired.retired_id
        """,
        [run],
    )
