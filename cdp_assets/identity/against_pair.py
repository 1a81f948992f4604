"""What stands against two records being one, apart from what they do not share."""

import duckdb

from cdp_assets.identity.decided import ANYBODYS_LINK
from cdp_assets.identity.evidence_path import evidence_between
from cdp_assets.identity.fields import OBJECTS
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.vetoes import stage_vetoes


def facts_against(
    connection: duckdb.DuckDBPyConnection, rules: ObjectRules, records: list[str]
) -> list[str]:
    """Facts that contradict now, and vetoes that the published evidence holds.

    Reads ``asked_pair`` and ``staged_matchable``.
    """
    vetoes = {
        each.rule
        for each in evidence_between(connection, records)
        if each.kind == "veto"
    }
    if rules.cannot_link:
        stage_vetoes(connection, rules.cannot_link, "asked_pair", "asked_veto")
        vetoes |= {
            fact
            for (fact,) in connection.execute("select fact from asked_veto").fetchall()
        }
    return sorted(vetoes)


def decisions_against(
    connection: duckdb.DuckDBPyConnection, people: dict[str, str], records: list[str]
) -> list[str]:
    """Decisions that keep the two, or any two records of their people, apart."""
    rows = connection.execute(
        f"""
        with link as ({ANYBODYS_LINK})
        select
            coalesce(given_with, decision) as number,
            first(record_l order by decision), first(record_r order by decision),
            count(*), any_value(decided_by), any_value(reason)
        from identity.decision
        inner join link as l on record_l = l.record
        inner join link as r on record_r = r.record
        where undone_at is null and kind = 'different' and (
            (l.id = $a and r.id = $b) or (l.id = $b and r.id = $a)
        )
        group by number order by number
        """,
        {"a": people[records[0]], "b": people[records[1]]},
    ).fetchall()
    return [
        f"decision {number} keeps {left} and {right} apart"
        + (f", and {pairs - 1} more pairs" if pairs > 1 else "")
        + f", by {by}: {why or '-'}"
        for number, left, right, pairs, by, why in rows
    ]


def shared_values(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    records: list[str],
) -> list[str]:
    """Values in common that too many records carry, and are not compared."""
    found = []
    for field in rules.shared:
        column = OBJECTS[object_name][field].column
        if not OBJECTS[object_name][field].many:
            column = f"[{column}]"
        rows = connection.execute(
            f"""
            select value, any_value(shared.records)
            from (
                select record, unnest({column}) as value from identity.node
                where record in (select unnest($records::varchar[]))
            )
            inner join identity.shared_identifier as shared using (value)
            where shared.object = $object and shared.field = $field
            group by value having count(distinct record) = 2
            """,
            {"records": records, "object": object_name, "field": field},
        ).fetchall()
        found += [
            f"{field} {value} is carried by {records:,} records and not compared"
            for value, records in rows
        ]
    return found
