"""Decisions as evidence: what resolution and its incremental path need to know of them.

Their mark is the published evidence itself. A decision given or undone since makes the
two differ, and so does one whose record came or went; a held run publishes nothing and
therefore leaves them differing.
"""

import duckdb

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.contradiction import contradictions
from cdp_assets.identity.decisions import active

# Who each record is, people and companies alike.
ANYBODYS_LINK = """
    select record, unified_individual_id as id from identity.unified_link_individual
    union all
    select record, unified_account_id from identity.unified_link_account
"""


def stage_decided(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    nodes: str = "staged_node",
) -> None:
    """Build ``staged_decided``: the decisions that hold, as ``node_l, node_r, rule``.

    Args:
        connection: The warehouse.
        object_name: ``individual`` or ``account``.
        nodes: All nodes of the object as they stand now: ``record``, ``node_id``,
            ``object``. Decisions about other records are dormant and left out.
    """
    connection.execute(
        f"""
        create or replace temp table staged_decided as
        select distinct
            least(l.node_id, r.node_id) as node_l,
            greatest(l.node_id, r.node_id) as node_r,
            decision.kind as rule
        from identity.decision as decision
        inner join {nodes} as l on decision.record_l = l.record
        inner join {nodes} as r on decision.record_r = r.record
        where decision.undone_at is null
            and l.object = $object and r.object = $object
        """,
        {"object": object_name},
    )


def stage_decided_anew(connection: duckdb.DuckDBPyConnection, object_name: str) -> int:
    """Build ``decided_anew``: the ``node_id`` whose decisions are not published so.

    Reads ``staged_decided``. These nodes are touched although none of their features
    changed; one that is gone may be among them.

    Returns:
        How many there are.
    """
    connection.execute(
        """
        create or replace temp table decided_anew as
        with published as (
            select node_l, node_r, rule from identity.evidence
            where object = $object and kind = 'decision'
        ),
        differing as (
            (from staged_decided except from published)
            union all
            (from published except from staged_decided)
        )
        select node_l as node_id from differing
        union
        select node_r from differing
        """,
        {"object": object_name},
    )
    return _count(connection, "decided_anew")


def spare_decided(connection: duckdb.DuckDBPyConnection, vetoes: str) -> None:
    """Take from ``vetoes`` the pairs that decisions call the same, through any chain.

    Args:
        connection: The warehouse; reads ``staged_decided``.
        vetoes: A temporary table of ``node_l``, ``node_r``.
    """
    connection.execute(
        """
        create or replace temp table decided_same as
        select node_l, node_r from staged_decided where rule = 'same'
        """
    )
    if not _count(connection, "decided_same"):
        return
    stage_components(connection, "decided_same", "decided_component")
    connection.execute(
        f"""
        delete from {vetoes} as veto
        using decided_component as l, decided_component as r
        where veto.node_l = l.node_id and veto.node_r = r.node_id
            and l.component = r.component
        """
    )


def decisions_wait(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a run would find decisions that the published people do not follow."""
    for object_name in ("individual", "account"):
        stage_decided(connection, object_name, "identity.node")
        if stage_decided_anew(connection, object_name):
            return True
    return False


def contradicting(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Decisions that cannot all hold, in words; giving one that would is refused."""
    return [str(found) for found in contradictions(active(connection))]


def not_kept(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Decisions that the published people break, though a run has taken them up."""
    rows = connection.execute(
        f"""
        with link as ({ANYBODYS_LINK})
        select decision.decision
        from identity.decision as decision
        inner join link as l on decision.record_l = l.record
        inner join link as r on decision.record_r = r.record
        where decision.undone_at is null and decision.applied_run is not null
            and (l.id = r.id) <> (decision.kind = 'same')
        order by 1
        """
    ).fetchall()
    return [f"decision {number} is broken" for (number,) in rows]


def note_applied(
    connection: duckdb.DuckDBPyConnection, object_name: str, run: int
) -> None:
    """Note on each decision the run since which it holds, or no longer does.

    Reads the nodes and evidence just published; the caller holds the transaction.
    """
    connection.execute(
        """
        update identity.decision as decision set applied_run = $run
        from identity.node as l, identity.node as r
        where decision.applied_run is null and decision.undone_at is null
            and decision.record_l = l.record and decision.record_r = r.record
            and l.object = $object
        """,
        {"run": run, "object": object_name},
    )
    connection.execute(
        """
        update identity.decision set lifted_run = ?
        where applied_run is not null and undone_at is not null and lifted_run is null
            and record_l not in (select record from identity.node where object <> ?)
        """,
        [run, object_name],
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])
