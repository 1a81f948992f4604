"""Memberships that go on under another id: after a merge, a split, or its undoing.

What goes on are the stays of the segment's last evaluation, and what counts is who the
people of then are now, not what came in between: merged and parted again within a
segment's period, everybody is what they were. Who somebody was then is read off their
records (``identity.link_history``), never guessed:

- somebody who is nobody any more goes on as whoever has their records now;
- somebody who was nobody then comes from whoever had their records: a split keeps the
  id of its largest part, so no id is retired although somebody new is there.

A record that changes hands between people who were there all the time carries nothing,
and one that is gone, be it erased, leads to nobody.

Whoever was shown as a member and is none now has left, also who was one by another's
stay, unless the membership goes on under somebody who has it now.
"""

import duckdb

_STAYS = """
    create or replace temp table segment_stay as
    with kept as (
        select unified_individual_id, entered_at, entered_run
        from segments.evaluated_stay where segment = $segment
    )
    from kept
    union all
    select unified_individual_id, entered_at, entered_run from segments.membership
    where segment = $segment and left_at is null and not exists (from kept)
"""

_HEIRS = """
    create or replace temp table segment_heir as
    with past as (
        select record, unified_id, run, seq from identity.link_history
        where object = 'individual'
    ),
    moved as (
        select distinct record from past where run > $last_run
    ),
    was as (
        select record, arg_max_null(unified_id, seq) as source
        from past semi join moved using (record)
        where run <= $last_run group by record
    ),
    held as (
        select distinct was.source, link.unified_individual_id
        from was inner join identity.unified_link_individual as link using (record)
        semi join segment_stay on segment_stay.unified_individual_id = was.source
        where was.source <> link.unified_individual_id
    ),
    -- Who has a record now that moved, and was somebody then, maybe by other records.
    known as (
        select distinct unified_id as unified_individual_id from (
            select record, arg_max_null(unified_id, seq) as unified_id
            from past where run <= $last_run and record in (
                select record from past
                where unified_id in (select unified_individual_id from held)
            )
            group by record
        )
    )
    select source, unified_individual_id, source not in (
            select unified_individual_id from unified.unified_individual
        ) as is_gone
    from held where is_gone or unified_individual_id not in (
        select unified_individual_id from known where unified_individual_id is not null
    )
"""

_ENDING = """
    create or replace temp table segment_ending as
    with open as (
        select unified_individual_id, entered_at, entered_run from segments.membership
        where segment = $segment and left_at is null
    ),
    -- Members for another's stay who are nobody any more, or not for that stay.
    stood_in as (
        select unified_individual_id from open
        anti join segment_stay using (unified_individual_id)
        anti join segment_heir using (unified_individual_id)
    ),
    lent as (
        select record, unified_id as unified_individual_id from identity.link_history
        where object = 'individual' and run > $last_run
            and unified_id in (from stood_in)
    ),
    of_a_stay as (
        select record from identity.link_history
        where object = 'individual' and run <= $last_run
            and record in (select record from lent)
        group by record
        having arg_max_null(unified_id, seq) in (
            select unified_individual_id from segment_stay
        )
    ),
    carried as (
        select source as unified_individual_id from segment_heir
        semi join segment_next using (unified_individual_id) where is_gone
        union all
        select lent.unified_individual_id from lent semi join of_a_stay using (record)
        inner join identity.unified_link_individual as link using (record)
        semi join segment_next
            on segment_next.unified_individual_id = link.unified_individual_id
    )
    from open
    anti join segment_next using (unified_individual_id)
    anti join segment_entering using (unified_individual_id)
    anti join carried using (unified_individual_id)
"""


def find_heirs(
    connection: duckdb.DuckDBPyConnection, segment: str, last_run: int | None
) -> None:
    """Fill ``segment_stay``, what was, and ``segment_heir``, who goes on for whom.

    Args:
        connection: The warehouse.
        segment: The segment's name.
        last_run: The run of its last evaluation; None: nobody was a member yet.
    """
    connection.execute(_STAYS, {"segment": segment})
    connection.execute(_HEIRS, {"last_run": _since(last_run)})


def carry_over(connection: duckdb.DuckDBPyConnection, segment: str) -> int:
    """Say which stays go on, and under whom; after ``find_heirs``.

    They go on for who is in ``segment_now``: ``segment_next``, of several entries the
    earliest.

    Returns:
        How many people's membership goes on under another id since the last run.
    """
    connection.execute(
        """
        create or replace temp table segment_next as
        with entry as (
            select heir.unified_individual_id, stay.entered_at, stay.entered_run
            from segment_heir as heir inner join segment_stay as stay
                on stay.unified_individual_id = heir.source
            union all
            from segment_stay semi join segment_heir using (unified_individual_id)
        ),
        -- Most stays are nobody's heirs' and need no grouping.
        going_on as (
            select unified_individual_id,
                unnest(min(struct_pack(entered_at, entered_run)))
            from entry group by unified_individual_id
            union all
            from segment_stay anti join segment_heir using (unified_individual_id)
        )
        from going_on semi join segment_now using (unified_individual_id)
        """
    )
    row = connection.execute(
        """
        with open as (
            select unified_individual_id from segments.membership
            where segment = ? and left_at is null
        )
        -- Heirs who have no row yet, or whose people of before still have one.
        select count(distinct source)
        from segment_heir semi join segment_now using (unified_individual_id)
        where unified_individual_id not in (from open)
            or (is_gone and source in (from open))
        """,
        [segment],
    ).fetchone()
    return int(row[0]) if row else 0


def find_ending(
    connection: duckdb.DuckDBPyConnection, segment: str, last_run: int | None
) -> None:
    """Fill ``segment_ending``: the open rows of who leaves, as they were published.

    After ``carry_over`` and ``segment_entering``; the arguments of ``find_heirs``.
    """
    connection.execute(_ENDING, {"segment": segment, "last_run": _since(last_run)})


def _since(last_run: int | None) -> int:
    # No run is later than this one, so nobody has become another since.
    return 2**62 if last_run is None else last_run
