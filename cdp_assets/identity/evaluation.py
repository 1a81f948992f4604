"""How good the published people are, against a truth that no run ever reads.

Pairwise figures ask of two records whether they are together; B-cubed asks of every
record how well its person is put together, so that large people do not outweigh all
others. Nothing enumerates pairs: counts per person, entity and their overlap suffice.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.truth import group_by_person, stage_truth


@dataclass(frozen=True)
class Quality:
    """Pairwise precision, recall and F1, and their B-cubed counterparts."""

    precision: float
    recall: float
    b_cubed_precision: float
    b_cubed_recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _harmonic(self.precision, self.recall)

    @property
    def b_cubed_f1(self) -> float:
        """The harmonic mean of the B-cubed figures."""
        return _harmonic(self.b_cubed_precision, self.b_cubed_recall)


@dataclass(frozen=True)
class Evaluation:
    """The published people beside what exact rules alone would have made."""

    people: Quality
    exact_rules: Quality
    traps: dict[str, Quality]
    """Per trap the pairs that touch a record with it."""
    records: int
    persons: int
    consolidation_rate: float
    largest: int
    unmatched_rate: float


def evaluate(
    connection: duckdb.DuckDBPyConnection, truth: Path, traps: Path | None = None
) -> Evaluation:
    """Compare the published people with the truth.

    Args:
        connection: The warehouse; reading is enough.
        truth: CSV of ``source, record_id, entity_id``. Records that nothing published
            count as alone.
        traps: CSV of ``record, trap``: what makes a record hard.
    """
    stage_truth(connection, truth)
    _stage_exact_rules(connection)
    group_by_person(
        connection, "truth_exact", "select record, person from exact_person"
    )
    found = {}
    if traps is not None and traps.exists():
        connection.execute(
            "create or replace temp table trap_record as "
            "select distinct record, trap from read_csv(?, all_varchar = true)",
            [str(traps)],
        )
        found = _traps(connection)
    records, persons, largest, unmatched = connection.execute(
        """
        select coalesce(sum(n), 0), count(*), coalesce(max(n), 0),
            count(*) filter (where n = 1)
        from (select count(*) as n from identity.unified_link_individual
            group by unified_individual_id)
        """
    ).fetchall()[0]
    return Evaluation(
        people=quality_of(connection, "truth_people"),
        exact_rules=quality_of(connection, "truth_exact"),
        traps=found,
        records=int(records),
        persons=persons,
        consolidation_rate=1 - persons / records if records else 0.0,
        largest=largest,
        unmatched_rate=unmatched / int(records) if records else 0.0,
    )


def _stage_exact_rules(connection: duckdb.DuckDBPyConnection) -> None:
    """What exact e-mail, and exact phone with exact last name, make of the records.

    Every record is tied to the first one of each value: the same groups as tying all
    pairs, and no 800 x 800 of them for a shared inbox.
    """
    connection.execute(
        """
        create or replace temp table exact_node as
        select id as record, row_number() over (order by id) as node_id, last_name
        from dmo.individual
        """
    )
    connection.execute(
        """
        create or replace temp table exact_edge as
        with keyed as (
            select node.node_id, email.email_address as key
            from dmo.contact_point_email as email
            inner join exact_node as node on email.party_id = node.record
            union all
            select node.node_id,
                phone.formatted_e164_phone_number || ' ' || lower(node.last_name)
            from dmo.contact_point_phone as phone
            inner join exact_node as node on phone.party_id = node.record
        )
        select node_l, node_r from (
            select min(node_id) over (partition by key) as node_l, node_id as node_r
            from keyed where key is not null
        )
        where node_l < node_r
        """
    )
    stage_components(connection, "exact_edge", "exact_component")
    connection.execute(
        """
        create or replace temp table exact_person as
        select record, coalesce(component, node_id)::varchar as person
        from exact_node left join exact_component using (node_id)
        """
    )


def quality_of(connection: duckdb.DuckDBPyConnection, grouped: str) -> Quality:
    """The figures of a table of ``entity`` and ``person``, one row per record."""
    together, asserted, true, precision, recall = connection.execute(
        f"""
        with overlap as (
            select person, entity, count(*) as n from {grouped} group by all
        ),
        person as (select person, sum(n) as n from overlap group by person),
        entity as (select entity, sum(n) as n from overlap group by entity)
        select
            (select sum(n * (n - 1)) from overlap),
            (select sum(n * (n - 1)) from person),
            (select sum(n * (n - 1)) from entity),
            (select sum(o.n * o.n / person.n) / sum(o.n)
                from overlap as o inner join person using (person)),
            (select sum(o.n * o.n / entity.n) / sum(o.n)
                from overlap as o inner join entity using (entity))
        """
    ).fetchall()[0]
    return Quality(
        _share(together, asserted), _share(together, true), precision or 1, recall or 1
    )


def _traps(connection: duckdb.DuckDBPyConnection) -> dict[str, Quality]:
    """Per trap, over pairs with at least one trapped record; B-cubed over those.

    Of a group of n records, t of them trapped, n (n - 1) - (n - t)(n - t - 1) ordered
    pairs touch one; groups without any touch none and are never looked at.
    """
    touching = "sum(size.n * (size.n - 1) - (size.n - t) * (size.n - t - 1))"
    rows = connection.execute(
        f"""
        with trapped as (
            select trap, person, entity, count(*) as t
            from trap_record inner join truth_people using (record) group by all
        ),
        cell as (
            select person, entity, count(*) as n from truth_people group by all
        ),
        person as (select person, sum(n) as n from cell group by all),
        entity as (select entity, sum(n) as n from cell group by all),
        together as (
            select
                trap,
                {touching} as pairs,
                sum(t * size.n / person.n) / sum(t) as precision,
                sum(t * size.n / entity.n) / sum(t) as recall
            from trapped
            inner join cell as size using (person, entity)
            inner join person using (person)
            inner join entity using (entity)
            group by trap
        ),
        asserted as (
            select trap, {touching} as pairs
            from (select trap, person, sum(t) as t from trapped group by all)
            inner join person as size using (person)
            group by trap
        ),
        actual as (
            select trap, {touching} as pairs
            from (select trap, entity, sum(t) as t from trapped group by all)
            inner join entity as size using (entity)
            group by trap
        )
        select
            trap, together.pairs, asserted.pairs, actual.pairs,
            together.precision, together.recall
        from together
        inner join asserted using (trap)
        inner join actual using (trap)
        order by trap
        """
    ).fetchall()
    return {
        trap: Quality(
            _share(together, asserted), _share(together, true), precision, recall
        )
        for trap, together, asserted, true, precision, recall in rows
    }


def _share(part: float | None, whole: float | None) -> float:
    """A share of nothing is one: whoever asserts nothing is never wrong."""
    return float(part or 0) / float(whole) if whole else 1.0


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
