"""Resolving what changed: evidence, groups and people of the records concerned.

    changed nodes    features differ, or the record is new or gone
    dirty nodes      those, and whom a value that crossed a limit concerns
    affected nodes   the groups that dirty nodes were in, or are linked to now

Evidence of dirty nodes is made anew against everybody, groups and people of affected
nodes are worked out again, and everybody else stays as published. What is staged is the
same as for all records, narrowed to those; ``tests/identity`` holds that the outcome is
that of a full run.
"""

import duckdb

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.decided import stage_decided_anew
from cdp_assets.identity.dirty import stage_dirty_pairs, stage_pairs_within
from cdp_assets.identity.evidence import stage_evidence, stage_links
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.scoring import Scorer


def stage_dirty(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> int:
    """Build the pairs of all dirty nodes, and ``dirty``: those nodes, the gone too.

    Reads ``recompared`` and what comes with it, and ``staged_decided``.

    Returns:
        How many pairs equal values made.
    """
    stage_decided_anew(connection, object_name)
    connection.execute(
        """
        create or replace temp table dirty_extra as
        select node_id from decided_anew where node_id not in (from recompared)
        """
    )
    made = stage_dirty_pairs(connection, object_name, rules)
    connection.execute(
        """
        create or replace temp table dirty as
        select node_id from recompared union select node_id from dirty_extra;
        insert into candidate
        select node_l, node_r from staged_decided
        where node_l in (from dirty) or node_r in (from dirty);
        create or replace temp table candidate as select distinct * from candidate;
        """
    )
    return made


def stage_neighbourhood(
    connection: duckdb.DuckDBPyConnection, object_name: str
) -> None:
    """Build ``staged_matchable`` of all nodes that may be looked at.

    The dirty ones, whom they are compared with, and the groups of both: a link can only
    join those.
    """
    connection.execute(
        """
        create or replace temp table neighbour as
        with near as (
            select node_id from dirty
            union
            select node_l from candidate
            union
            select node_r from candidate
        ),
        grouped as (
            select node_id, component from identity.component where object = $object
        )
        select node_id from near
        union
        select node_id from grouped
        semi join (select component from grouped semi join near using (node_id))
            using (component)
        """,
        {"object": object_name},
    )
    connection.execute(
        """
        create or replace temp table staged_matchable as
        from matchable_now where node_id in (from neighbour)
        """
    )


def stage_new_evidence(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    scorer: Scorer | None,
) -> None:
    """Build ``staged_evidence`` of dirty and affected nodes, and ``affected``."""
    stage_evidence(connection, object_name, rules, scorer)
    connection.execute(
        """
        delete from staged_evidence
        where node_l not in (from dirty) and node_r not in (from dirty)
        """
    )
    stage_links(connection, rules)
    _stage_affected(connection, object_name)
    connection.execute(
        """
        insert into staged_evidence by name
        from identity.evidence
        where object = $object
            and node_l in (from affected) and node_r in (from affected)
            and node_l not in (from dirty) and node_r not in (from dirty)
            and not (kind = 'veto' and rule = 'refined_apart')
        """,
        {"object": object_name},
    )
    if scorer:
        _score_large_groups(connection, object_name, rules, scorer)


def _stage_affected(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Nodes whose group may be another, closed under links old and new."""
    connection.execute(
        """
        create or replace temp table affected as
        with touched as (
            select node_id from dirty
            union
            select node_l from link_edge
            union
            select node_r from link_edge
        ),
        grouped as (
            select node_id, component from identity.component where object = $object
        )
        select node_id from (
            select node_id from touched
            union
            select node_id from grouped
            semi join (select component from grouped semi join touched using (node_id))
                using (component)
        )
        semi join staged_matchable using (node_id)
        """,
        {"object": object_name},
    )


def _score_large_groups(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    scorer: Scorer,
) -> None:
    """Score what brings the members of large groups together, as a full run has it.

    A group too large for comparing all its pairs is judged by those.
    """
    stage_links(connection, rules)
    stage_components(connection, "link_edge", "large_component")
    connection.execute(
        """
        create or replace temp table large_member as
        select node_id from large_component
        qualify count(*) over (partition by component) > ?
        """,
        [rules.refinement.largest_group],
    )
    members = connection.execute("select count(*) from large_member").fetchall()[0][0]
    if not members:
        return
    stage_pairs_within(connection, object_name, rules, "large_member")
    connection.execute(
        """
        create or replace temp table large_candidate as
        select distinct node_l, node_r from candidate
        anti join staged_score using (node_l, node_r)
        """
    )
    scorer.score("large_candidate", "large_score")
    connection.execute("insert into staged_score from large_score")


def stage_scope(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Build ``scope_record``, affected nodes by record, and ``published`` of them.

    A person lies within one group, so the people of affected records and of those gone
    are complete.
    """
    connection.execute(
        f"""
        create or replace temp table scope_record as
        select node_id, record from staged_matchable semi join affected using (node_id);
        create or replace temp table published as
        select
            unified_{object_name}_id as unified_id, record, tier, linked_at_run
        from identity.unified_link_{object_name}
        where record in (select record from scope_record)
            or record in (
                select record from node_old where node_id in (from dirty)
            );
        """
    )
