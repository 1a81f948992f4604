"""Gates: limits a staged result must keep, or nothing of it is published.

Each is judged before promotion; the limits stand in the ruleset. A first run has
nothing to be compared with and is exempt from the relative ones.
"""

from collections.abc import Iterator

import duckdb

from cdp_assets.identity.candidates import stage_keyed
from cdp_assets.identity.decided import contradicting, spare_decided
from cdp_assets.identity.delta import Changes
from cdp_assets.identity.label_gate import label_gate
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.verdict import Verdict
from cdp_assets.identity.vetoes import stage_vetoes


def pair_gates(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> list[Verdict]:
    """Judge how many pairs the rules would make, and decisions, before any is made.

    A single value that would make more than ``pairs_of_one_value`` is left out, and
    stands in ``identity.shared_identifier``; it must not hold everybody else's.
    """
    made = stage_keyed(connection, object_name, rules)
    return budget_gates(connection, rules, made)


def budget_gates(
    connection: duckdb.DuckDBPyConnection, rules: ObjectRules, made: int
) -> list[Verdict]:
    """Judge a number of pairs, and whether all decisions can hold."""
    verdicts = [Verdict("pairs", rules.gates.pairs, made)]
    if undecidable := contradicting(connection):
        blame = "; ".join(undecidable)
        verdicts.append(Verdict("contradicting_decisions", 0, len(undecidable), blame))
    return verdicts


def result_gates(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    changes: Changes,
) -> list[Verdict]:
    """Judge the people as they would be; reads ``link_after``.

    Builds ``staged_conflict``: whom of the staged people contradictions were found in.
    """
    return [
        _largest(connection, rules),
        _in_conflict(connection, object_name, rules),
        *_against_last_run(connection, object_name, rules, changes),
        *label_gate(connection, rules.gates, "link_after"),
    ]


def _largest(connection: duckdb.DuckDBPyConnection, rules: ObjectRules) -> Verdict:
    row = connection.execute(
        """
        select count(*) as records, min(record) from link_after
        group by unified_id order by records desc, min(record) limit 1
        """
    ).fetchall()
    records, record = row[0] if row else (0, "")
    return Verdict(
        "largest_person", rules.gates.largest_person, records, f"the one with {record}"
    )


def _in_conflict(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> Verdict:
    """The share of people with two records that contradict each other.

    People larger than a gate allows anyway are left out: their pairs grow with the
    square. Of people who are not staged it is known from when they were.
    """
    _stage_conflicts(connection, object_name, rules)
    share, record = connection.execute(
        """
        with conflict as (
            select unified_id from staged_conflict
            union all
            select unified_id from identity.conflict
            where object = ? and unified_id not in (select unified_id from published)
        )
        select
            (select count(*) from conflict)
            / greatest((select count(distinct unified_id) from link_after), 1),
            (select min(record) from link_after semi join conflict using (unified_id))
        """,
        [object_name],
    ).fetchall()[0]
    blame = f"for instance the one with {record}" if record else ""
    return Verdict("share_in_conflict", rules.gates.share_in_conflict, share, blame)


def _stage_conflicts(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> None:
    connection.execute(
        """
        create or replace temp table staged_conflict (
            object varchar, unified_id varchar
        )
        """
    )
    if not rules.cannot_link:
        return
    connection.execute(
        """
        create or replace temp table person_pair as
        with member as (
            select
                link.unified_id, node_id, count(*) over (partition by unified_id) as n
            from staged_link as link inner join staged_matchable using (record)
        )
        select l.unified_id, l.node_id as node_l, r.node_id as node_r
        from member as l
        inner join member as r
            on l.unified_id = r.unified_id and l.node_id < r.node_id
        where l.n <= ?
        """,
        [rules.gates.largest_person],
    )
    stage_vetoes(connection, rules.cannot_link, "person_pair", "person_veto")
    # A person said so, contradiction or not.
    spare_decided(connection, "person_veto")
    connection.execute(
        """
        insert into staged_conflict
        select distinct ?, unified_id from person_pair
        semi join person_veto using (node_l, node_r)
        """,
        [object_name],
    )


def _against_last_run(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    changes: Changes,
) -> Iterator[Verdict]:
    # Over the records that were there before and still are: a batch of newcomers, or of
    # deletes, says nothing of how well the others were resolved.
    known, before, now, moved, records = connection.execute(
        f"""
        with known as (
            select old.unified_id as old_id, new.unified_id as new_id
            from published as old inner join staged_link as new using (record)
        ),
        elsewhere as (
            select
                count(*) - (select count(*) from published) as records,
                count(distinct unified_{object_name}_id)
                - (select count(distinct unified_id) from published) as people
            from identity.unified_link_{object_name}
        )
        select
            count(known.old_id) + any_value(elsewhere.records) as known,
            count(distinct old_id) + any_value(elsewhere.people),
            count(distinct new_id) + any_value(elsewhere.people),
            count(*) filter (where old_id <> new_id),
            any_value(elsewhere.records) + (select count(*) from published)
        from elsewhere left join known on true
        """
    ).fetchall()[0]
    if not known:
        return
    before, now = 1 - before / known, 1 - now / known
    yield Verdict(
        "consolidation_change",
        rules.gates.consolidation_change,
        round(abs(now - before), 4),
        f"from {before:.3f} to {now:.3f}",
    )
    yield Verdict(
        "ids_changed",
        rules.gates.ids_changed,
        round(moved / max(records, 1), 4),
        f"{moved} records would change person, {changes.retired} ids would retire",
    )
