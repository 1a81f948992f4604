"""What an action knew of people who are others now: carried over merges and splits.

A person was whoever their records were at the last look, so what was true of any of
those was true of them. That holds for a merge (of two, one was true: true), for a split
(of the one: all parts), for a merge undone, and for a record that went from one living
person to another. So none of these makes a condition become true by itself.
"""

import duckdb


def last_move(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the last move of a record between people."""
    row = connection.execute(
        "select coalesce(max(seq), 0) from identity.link_history"
    ).fetchone()
    return int(row[0]) if row else 0


def carry_over(
    connection: duckdb.DuckDBPyConnection, action: str, link_seq: int
) -> None:
    """Fill ``action_before``: what was known of the people there are now.

    Of the latest message and of the edges counted the greatest stands: a merge ends no
    cool-down, and no key is given twice. Values kept are the person's own, if any.

    Args:
        connection: The warehouse.
        action: The action.
        link_seq: The last move that an earlier look has seen.
    """
    connection.execute(
        """
        create or replace temp table action_before as
        with moved as (
            select distinct record from identity.link_history
            where object = 'individual' and seq > $link_seq
        ),
        came_from as (
            select record, arg_max(unified_id, seq) as earlier_id
            from identity.link_history semi join moved using (record)
            where object = 'individual' and seq <= $link_seq
            group by record
        ),
        known as (
            select *, true as is_own from activation.action_state
            where action = $action
            union all
            select s.* replace (l.unified_individual_id as unified_individual_id), false
            from (
                select distinct l.unified_individual_id, c.earlier_id
                from came_from as c
                join identity.unified_link_individual as l using (record)
                where l.unified_individual_id <> c.earlier_id
            ) as l
            join activation.action_state as s
                on s.action = $action and s.unified_individual_id = l.earlier_id
        )
        select unified_individual_id,
            bool_or(is_true) as was_true,
            max(edges) as edges,
            max(fired_at) as fired_at,
            arg_max(kept, (is_own, coalesce(kept, ''))) as kept
        from known
        semi join unified.unified_individual using (unified_individual_id)
        group by unified_individual_id
        """,
        {"action": action, "link_seq": link_seq},
    )
