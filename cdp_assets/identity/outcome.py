"""What a resolution came to, for its run row, its asset and its operator."""

import datetime as dt
from dataclasses import dataclass, field

import duckdb

from cdp_assets.identity.delta import Changes
from cdp_assets.identity.verdict import Verdict
from cdp_assets.identity.way import Versions, Way
from cdp_assets.warehouse import utc_now


class ResolutionHeldError(RuntimeError):
    """A gate failed: nothing was published, and the last good people stay."""


@dataclass(frozen=True)
class ObjectOutcome:
    """The figures of one object: people, or companies."""

    object: str
    versions: Versions
    way: Way
    records: int
    people: int
    largest: int
    unmatched: int
    resolved: int
    """Records whose person was worked out again."""
    evidence_rows: int
    shared_identifiers: int
    groups_refined: int
    changes: Changes
    verdicts: list[Verdict]

    @classmethod
    def unmeasured(
        cls, name: str, versions: Versions, way: Way, verdicts: list[Verdict]
    ) -> "ObjectOutcome":
        """The outcome of a run that was refused before it made any pair."""
        nothing = Changes(0, 0, 0)
        return cls(name, versions, way, 0, 0, 0, 0, 0, 0, 0, 0, nothing, verdicts)

    @property
    def status(self) -> str:
        """``promoted``, or ``held`` where a gate failed."""
        return "held" if self.failures else "promoted"

    @property
    def failures(self) -> list[Verdict]:
        """The gates that were not passed."""
        return [verdict for verdict in self.verdicts if not verdict.passed]

    @property
    def consolidation_rate(self) -> float:
        """One minus people per record, as Data Cloud counts it."""
        return 1 - self.people / self.records if self.records else 0.0

    @property
    def unmatched_rate(self) -> float:
        """The share of records that are alone in their person."""
        return self.unmatched / self.records if self.records else 0.0


@dataclass(frozen=True)
class ResolutionResult:
    """A resolution: of each object, promoted or held."""

    run: int
    outcomes: dict[str, ObjectOutcome]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """``promoted``, or ``held`` where a gate of any object failed."""
        return "held" if self.failures else "promoted"

    @property
    def individual(self) -> ObjectOutcome:
        """The figures of people."""
        return self.outcomes["individual"]

    @property
    def account(self) -> ObjectOutcome:
        """The figures of companies."""
        return self.outcomes["account"]

    @property
    def failures(self) -> list[Verdict]:
        """The gates that were not passed."""
        return [
            failure
            for outcome in self.outcomes.values()
            for failure in outcome.failures
        ]

    def raise_if_held(self) -> None:
        """Refuse to go on after a held run.

        Raises:
            ResolutionHeldError: Names gate, limit and value.
        """
        if self.failures:
            raise ResolutionHeldError(
                f"run {self.run} is held, the last good people stay published: "
                + "; ".join(str(verdict) for verdict in self.failures)
                + ". Correct the data, or the limit in ruleset.yaml, and run again; or "
                "publish it for once with `cdp identity release`."
            )


def next_run(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the next run, in a database that no pipeline numbers."""
    return int(
        connection.execute(
            "select coalesce(max(run), 0) + 1 from identity.run"
        ).fetchall()[0][0]
    )


def measure(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    versions: Versions,
    way: Way,
    *,
    groups_refined: int,
    changes: Changes,
    verdicts: list[Verdict],
) -> ObjectOutcome:
    """Count one object as it would be once what is staged is published.

    Reads ``link_after`` and what ``stage_promotion`` made; ``groups_refined`` are those
    of this run.
    """
    records, people, largest, unmatched = connection.execute(
        """
        select
            coalesce(sum(records), 0), count(*), coalesce(max(records), 0),
            count(*) filter (where records = 1)
        from (select count(*) as records from link_after group by unified_id)
        """
    ).fetchall()[0]
    evidence, shared = (
        connection.execute(
            f"""
            select
                (select count(*) from identity.{table} where object = ?)
                - (select count(*) from {table}_gone)
                + (select count(*) from {table}_new)
            """,
            [object_name],
        ).fetchall()[0][0]
        for table in ("evidence", "shared_identifier")
    )
    resolved = connection.execute("select count(*) from scope_record").fetchall()[0][0]
    return ObjectOutcome(
        object_name,
        versions,
        way,
        int(records),
        people,
        largest,
        unmatched,
        resolved,
        evidence,
        shared,
        groups_refined,
        changes,
        verdicts,
    )


def record_run(
    connection: duckdb.DuckDBPyConnection,
    outcome: ObjectOutcome,
    *,
    run: int,
    started_at: dt.datetime,
    as_of: dt.datetime,
) -> None:
    """Write the row of ``identity.run``; a repeated run replaces its own."""
    failures = outcome.failures
    row = {
        "run": run,
        "object": outcome.object,
        "started_at": started_at,
        "finished_at": utc_now(),
        "as_of": as_of,
        "ruleset_version": outcome.versions.ruleset,
        "model_version": outcome.versions.model,
        "program_version": outcome.versions.program,
        "way": outcome.way.name,
        "way_reason": outcome.way.reason,
        "changed_records": outcome.way.changed,
        "resolved_records": outcome.resolved,
        "status": outcome.status,
        "records": outcome.records,
        "people": outcome.people,
        "largest_person": outcome.largest,
        "unmatched_records": outcome.unmatched,
        "evidence_rows": outcome.evidence_rows,
        "created": outcome.changes.created,
        "changed": outcome.changes.changed,
        "retired": outcome.changes.retired,
        "gate": ", ".join(verdict.gate for verdict in failures) or None,
        "note": "; ".join(str(verdict) for verdict in failures) or None,
    }
    connection.execute(
        f"insert or replace into identity.run ({', '.join(row)}) "
        f"values ({', '.join('?' * len(row))})",
        list(row.values()),
    )
