"""The short way: when nothing that is compared has changed, the people stand.

A second run over the same records then costs the reading of the nodes and no more.
What a record says beside its compared features may still have been edited, which makes
its person changed and nobody else.
"""

import duckdb

from cdp_assets.identity.decided import stage_decided_anew


def nothing_to_resolve(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    versions: tuple[str, str | None],
) -> bool:
    """Whether the last promoted run saw these features, decisions, rules and model."""
    if stage_decided_anew(connection, object_name):
        return False
    last = connection.execute(
        """
        select ruleset_version, model_version from identity.run
        where object = ? and status = 'promoted' order by run desc limit 1
        """,
        [object_name],
    ).fetchall()
    if last != [versions]:
        return False
    differing = connection.execute(
        """
        with new as (
            select record, feature_hash from staged_node where object = $object
        ),
        old as (
            select record, feature_hash from identity.node where object = $object
        )
        select count(*) from new full join old using (record)
        where new.feature_hash is distinct from old.feature_hash
        """,
        {"object": object_name},
    ).fetchall()[0][0]
    return bool(differing == 0)


def keep_published(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Stage what is published, as if it had been resolved again."""
    connection.execute(
        """
        create or replace temp table staged_link as from published;
        create or replace temp table staged_mint as
        select null::bigint as part, '' as unified_id, '' as minted_from where false;
        create or replace temp table staged_retired as
        select '' as retired_id, []::varchar[] as live_ids where false;
        """
    )
    for staged, published in (
        ("staged_evidence", "evidence"),
        ("staged_shared", "shared_identifier"),
    ):
        connection.execute(
            f"""
            create or replace temp table {staged} as
            select * from identity.{published} where object = ?
            """,
            [object_name],
        )
