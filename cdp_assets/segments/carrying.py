"""Memberships that go on under another id: after a merge, a split, or its undoing.

Who an open row belongs to now is read from identity, never guessed:

- a retired id leads to its living ones (``identity.redirect``);
- a person born since the segment was last evaluated comes from the people who had
  their records then (``identity.link_history``): a split keeps the id of its largest
  part, so nothing is retired although somebody new is there.

Heirs who satisfy the condition take over the entry; of several the earliest stands.
"""

import duckdb

_HEIRS = """
    create or replace temp table segment_heir as
    with stay as (
        select unified_individual_id as source from segments.membership
        where segment = $segment and left_at is null
    ),
    born as (
        select unified_individual_id from identity.unified_link_individual
        group by unified_individual_id having min(linked_at_run) > $last_run
    ),
    its_record as (
        select record, unified_individual_id
        from identity.unified_link_individual
        semi join born using (unified_individual_id)
    ),
    before as (
        select record, arg_max(unified_id, seq) as source
        from identity.link_history
        where object = 'individual' and run <= $last_run
            and record in (select record from its_record)
        group by record
    ),
    heir as (
        select stay.source, unnest(redirect.live_ids) as unified_individual_id,
            true as is_retired
        from stay join identity.redirect as redirect
            on redirect.retired_id = stay.source
        union all
        select before.source, its_record.unified_individual_id, false
        from before join its_record using (record) semi join stay using (source)
    )
    select source, unified_individual_id, bool_or(is_retired) as is_retired
    from heir where source <> unified_individual_id
    group by source, unified_individual_id
"""


def find_heirs(
    connection: duckdb.DuckDBPyConnection, segment: str, last_run: int | None
) -> None:
    """Fill ``segment_heir``: who the segment's open rows may go on under.

    Args:
        connection: The warehouse.
        segment: The segment's name.
        last_run: The run of its last evaluation; None: nobody is newly born.
    """
    # No run is later than this one, so nobody was born since.
    since = 2**62 if last_run is None else last_run
    connection.execute(_HEIRS, {"segment": segment, "last_run": since})


def carry_over(connection: duckdb.DuckDBPyConnection, segment: str) -> int:
    """Give open rows to those heirs who are in ``segment_now``; after ``find_heirs``.

    A retired id of which no heir satisfies stays, and leaves as anyone does.

    Returns:
        How many people's membership went on under another id.
    """
    connection.execute(
        """
        create or replace temp table segment_carried as
        select heir.source, heir.unified_individual_id, heir.is_retired,
            stay.entered_at, stay.entered_run
        from segment_heir as heir
        semi join segment_now
            on segment_now.unified_individual_id = heir.unified_individual_id
        join segments.membership as stay
            on stay.unified_individual_id = heir.source
        where stay.segment = ? and stay.left_at is null
        """,
        [segment],
    )
    row = connection.execute(
        "select count(distinct source) from segment_carried"
    ).fetchone()
    carried = int(row[0]) if row else 0
    if carried:
        _move(connection, segment)
    connection.execute("drop table segment_carried")
    return carried


def _move(connection: duckdb.DuckDBPyConnection, segment: str) -> None:
    """Replace the open rows of retired ids and of heirs by one row per heir."""
    named = {"segment": segment}
    connection.execute(
        """
        create or replace temp table segment_moved as
        with entries as (
            select unified_individual_id, entered_at, entered_run from segment_carried
            union all
            select unified_individual_id, entered_at, entered_run
            from segments.membership
            where segment = $segment and left_at is null and unified_individual_id in (
                select unified_individual_id from segment_carried
            )
        )
        select unified_individual_id,
            min(struct_pack(entered_at, entered_run)) as entry
        from entries group by unified_individual_id
        """,
        named,
    )
    connection.execute(
        """
        delete from segments.membership
        where segment = $segment and left_at is null and (
            unified_individual_id in (
                select source from segment_carried where is_retired
            )
            or unified_individual_id in (
                select unified_individual_id from segment_carried
            )
        )
        """,
        named,
    )
    connection.execute(
        """
        insert into segments.membership
        select $segment, unified_individual_id, entry.entered_at, null,
            entry.entered_run
        from segment_moved order by unified_individual_id
        """,
        named,
    )
    connection.execute("drop table segment_moved")
