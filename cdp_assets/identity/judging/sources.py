"""How many people the records made: in all, per data stream and per pair of streams."""

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class SourceRates:
    """What became of one stream's records."""

    source: str
    records: int
    people: int
    alone: int
    """Records that are the only one of their person."""
    matched_elsewhere: int
    """People who have a record of another stream too."""
    largest: int
    """The most records of this stream in one person."""

    @property
    def consolidation(self) -> float:
        """One minus people per record: how much the stream repeats itself."""
        return 1 - self.people / self.records

    @property
    def unmatched(self) -> float:
        """The share of records that are alone in their person."""
        return self.alone / self.records

    @property
    def elsewhere(self) -> float:
        """The share of people who are known to another stream too."""
        return self.matched_elsewhere / self.people


@dataclass(frozen=True)
class SharedPeople:
    """How many people two streams have in common, and of how many each."""

    left: str
    right: str
    people: int
    of_left: float
    of_right: float


@dataclass(frozen=True)
class Totals:
    """All published people."""

    records: int
    people: int
    largest: int
    alone: int

    @property
    def consolidation(self) -> float:
        """One minus people per record, as Data Cloud counts it."""
        return 1 - self.people / self.records if self.records else 0.0

    @property
    def unmatched(self) -> float:
        """The share of records that are alone in their person."""
        return self.alone / self.records if self.records else 0.0


def totals(connection: duckdb.DuckDBPyConnection) -> Totals:
    """Count the published people."""
    row = connection.execute(
        """
        select
            coalesce(sum(n), 0)::bigint, count(*), coalesce(max(n), 0),
            count(*) filter (where n = 1)
        from (select count(*) as n from identity.unified_link_individual
            group by unified_individual_id)
        """
    ).fetchall()[0]
    return Totals(*row)


def source_rates(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[list[SourceRates], list[SharedPeople]]:
    """The rates of the published people, largest stream first, pairs by people shared.

    A record's stream is what its name says before the colon.
    """
    connection.execute(
        """
        create or replace temp table source_person as
        select *, count(*) over (partition by person) as sources from (
            select
                split_part(record, ':', 1) as source,
                unified_individual_id as person, count(*) as records
            from identity.unified_link_individual group by all
        )
        """
    )
    rates = connection.execute(
        """
        select
            source, sum(records)::bigint, count(*),
            count(*) filter (where records = 1 and sources = 1),
            count(*) filter (where sources > 1), max(records)
        from source_person group by source order by 2 desc, 1
        """
    ).fetchall()
    shared = connection.execute(
        """
        with known as (select source, count(*) as people from source_person group by 1)
        select
            l.source, r.source, count(*) as people, count(*) / any_value(of_l.people),
            count(*) / any_value(of_r.people)
        from source_person as l
        inner join source_person as r on l.person = r.person and l.source < r.source
        inner join known as of_l on l.source = of_l.source
        inner join known as of_r on r.source = of_r.source
        group by l.source, r.source order by people desc, l.source, r.source
        """
    ).fetchall()
    return (
        [SourceRates(*row) for row in rates],
        [SharedPeople(*row) for row in shared],
    )
