"""Which pairs to ask a person about: where one answer tells most.

Three reasons, taken in turn: the model nearly linked a pair, or nearly did not; one
weak link alone holds a person together; a large person has a weak link at all.
"""

import csv
import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.identity.fields import INDIVIDUAL
from cdp_assets.identity.rules import Ruleset, read_ruleset

# Bits from the link weight within which the model is in doubt: eight times likelier or
# less likely.
_DOUBT = 3.0
# People looked at for bridges; a queue is never that long.
_MOST_PEOPLE = 500
_LARGE = 6


@dataclass(frozen=True)
class Question:
    """One pair to ask about."""

    left: str
    right: str
    reason: str
    weight: float | None


def questions(
    connection: duckdb.DuckDBPyConnection,
    limit: int,
    ruleset: Ruleset | None = None,
) -> list[Question]:
    """The most informative pairs of records that nobody was asked about yet."""
    use = (ruleset or read_ruleset()).individual.model
    link_weight = use.link_weight if use else 0.0
    _stage_links(connection, link_weight)
    queues = [
        _doubtful(connection, link_weight, limit),
        _bridges(connection, link_weight, limit),
        _in_large(connection, limit),
    ]
    chosen: dict[tuple[str, str], Question] = {}
    for turn in itertools.zip_longest(*queues):
        for question in turn:
            if question is not None:
                chosen.setdefault((question.left, question.right), question)
    return list(chosen.values())[:limit]


def _stage_links(connection: duckdb.DuckDBPyConnection, link_weight: float) -> None:
    """Build ``review_pair``: the pairs with evidence that are open to question."""
    connection.execute(
        """
        create or replace temp table review_pair as
        with pair as (
            select
                node_l, node_r, max(match_weight) as weight,
                bool_or(kind = 'rule') as ruled,
                bool_or(kind = 'rule' or (kind = 'model' and match_weight >= $link))
                    and not bool_or(kind = 'veto') as linked,
                bool_or(kind = 'veto') as vetoed
            from identity.evidence where object = 'individual'
            group by node_l, node_r having not bool_or(kind = 'decision')
        )
        select
            least(l.record, r.record) as record_l, greatest(l.record, r.record)
            as record_r, weight, ruled, linked, vetoed,
            if(a.unified_individual_id = b.unified_individual_id,
                a.unified_individual_id, null) as person
        from pair
        inner join identity.node as l on node_l = l.node_id
        inner join identity.node as r on node_r = r.node_id
        inner join identity.unified_link_individual as a on a.record = l.record
        inner join identity.unified_link_individual as b on b.record = r.record
        """,
        {"link": link_weight},
    )
    connection.execute(
        """
        create or replace temp table review_open as
        select * from review_pair anti join (
            select record_l, record_r from identity.labelled_pair
            union all
            select record_l, record_r from identity.decision where undone_at is null
        ) using (record_l, record_r)
        """
    )


def _doubtful(
    connection: duckdb.DuckDBPyConnection, link_weight: float, limit: int
) -> list[Question]:
    rows = connection.execute(
        """
        select record_l, record_r, weight from review_open
        where not ruled and not vetoed and abs(weight - $link) <= $doubt
        order by abs(weight - $link), record_l, record_r limit $limit
        """,
        {"link": link_weight, "doubt": _DOUBT, "limit": limit},
    ).fetchall()
    return [
        Question(
            left,
            right,
            f"the model is in doubt: {weight:+.2f}, it links from {link_weight:+g}",
            weight,
        )
        for left, right, weight in rows
    ]


def _bridges(
    connection: duckdb.DuckDBPyConnection, link_weight: float, limit: int
) -> list[Question]:
    """Weak links without which a person would fall apart, the weakest first."""
    rows = connection.execute(
        """
        with weak as (
            select person, min(weight) as weakest from review_open
            where linked and person is not null
                and weight < if(ruled, $link, $link + 2 * $doubt)
            group by person order by weakest, person limit $people
        )
        select person, record_l, record_r, pair.weight,
            pair.weight < if(ruled, $link, $link + 2 * $doubt) as is_weak
        from review_pair as pair semi join weak using (person)
        where linked order by person, record_l, record_r
        """,
        {"link": link_weight, "doubt": _DOUBT, "people": _MOST_PEOPLE},
    ).fetchall()
    found = []
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        edges = list(group)
        links = [(left, right) for _, left, right, *_ in edges]
        records = {record for link in links for record in link}
        for _, left, right, weight, is_weak in edges:
            if is_weak and len(records) > 2 and is_bridge(links, (left, right)):
                reason = f"this link alone holds {len(records)} records together"
                found.append(Question(left, right, reason, weight))
    return sorted(found, key=lambda each: (each.weight or 0.0, each.left))[:limit]


def is_bridge(links: list[tuple[str, str]], link: tuple[str, str]) -> bool:
    """Whether the ends of one link hang together by no other way."""
    neighbours = defaultdict(set)
    for left, right in links:
        if (left, right) != link:
            neighbours[left].add(right)
            neighbours[right].add(left)
    seen, waiting = {link[0]}, [link[0]]
    while waiting:
        for there in neighbours[waiting.pop()] - seen:
            seen.add(there)
            waiting.append(there)
    return link[1] not in seen


def _in_large(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Question]:
    """The weakest link of each large person, the largest first."""
    rows = connection.execute(
        """
        with large as (
            select unified_individual_id as person, count(*) as records
            from identity.unified_link_individual group by 1
            having count(*) >= $large order by records desc, person limit $limit
        )
        select record_l, record_r, weight, records
        from review_open inner join large using (person)
        where linked
        qualify row_number() over (
            partition by person order by weight nulls first, record_l, record_r) = 1
        order by records desc, person
        """,
        {"large": _LARGE, "limit": limit},
    ).fetchall()
    return [
        Question(left, right, f"the weakest link of a person of {records} records", w)
        for left, right, w, records in rows
    ]


def write_file(
    connection: duckdb.DuckDBPyConnection, asked: list[Question], path: Path
) -> None:
    """Write the questions with what both records say, and an empty answer, as CSV.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    columns = ", ".join(
        f"array_to_string({field.column}, ' | ')"
        if field.many
        else f"{field.column}::varchar"
        for field in INDIVIDUAL.values()
    )
    said = {
        record: [_safe(value or "") for value in values]
        for record, *values in connection.execute(
            f"select record, {columns} from identity.node "
            "where record in (select unnest($records::varchar[]))",
            {"records": [r for q in asked for r in (q.left, q.right)]},
        ).fetchall()
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["record_l", "record_r", "answer", "reason", "match_weight"]
            + [f"{name}_{side}" for name in INDIVIDUAL for side in "lr"]
        )
        for question in asked:
            pairs = zip(said[question.left], said[question.right], strict=True)
            writer.writerow(
                [question.left, question.right, "", question.reason, question.weight]
                + [value for pair in pairs for value in pair]
            )


def _safe(value: str) -> str:
    return f"'{value}" if value.startswith(("=", "+", "-", "@")) else value
