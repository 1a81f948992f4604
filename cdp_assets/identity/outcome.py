"""What a resolution came to, for its run row, its asset and its operator."""

import datetime as dt
from dataclasses import dataclass, field

import duckdb

from cdp_assets.identity.gates import Verdict
from cdp_assets.identity.promotion import Changes
from cdp_assets.warehouse import utc_now


class ResolutionHeldError(RuntimeError):
    """A gate failed: nothing was published, and the last good people stay."""


@dataclass(frozen=True)
class ObjectOutcome:
    """The figures of one object: people, or companies."""

    object: str
    ruleset_version: str
    model_version: str | None
    records: int
    people: int
    largest: int
    unmatched: int
    evidence_rows: int
    shared_identifiers: int
    groups_refined: int
    changes: Changes
    verdicts: list[Verdict]

    @classmethod
    def unmeasured(
        cls, name: str, versions: tuple[str, str | None], verdicts: list[Verdict]
    ) -> "ObjectOutcome":
        """The outcome of a run that was refused before it made any pair."""
        nothing = Changes(0, 0, 0)
        return cls(name, *versions, 0, 0, 0, 0, 0, 0, 0, nothing, verdicts)

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
                + ". Correct the data, or the limit in ruleset.yaml, and run again."
            )


def measure(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    versions: tuple[str, str | None],
    *,
    groups_refined: int,
    changes: Changes,
    verdicts: list[Verdict],
) -> ObjectOutcome:
    """Count what is staged for one object."""
    records, people, largest, unmatched = connection.execute(
        """
        select
            coalesce(sum(records), 0), count(*), coalesce(max(records), 0),
            count(*) filter (where records = 1)
        from (select count(*) as records from staged_link group by unified_id)
        """
    ).fetchall()[0]
    evidence, shared = connection.execute(
        """
        select
            (select count(*) from staged_evidence),
            (select count(*) from staged_shared)
        """
    ).fetchall()[0]
    return ObjectOutcome(
        object_name,
        *versions,
        int(records),
        people,
        largest,
        unmatched,
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
    connection.execute(
        f"insert or replace into identity.run values ({', '.join('?' * 18)})",
        [
            run,
            outcome.object,
            started_at,
            utc_now(),
            as_of,
            outcome.ruleset_version,
            outcome.model_version,
            outcome.status,
            outcome.records,
            outcome.people,
            outcome.largest,
            outcome.unmatched,
            outcome.evidence_rows,
            outcome.changes.created,
            outcome.changes.changed,
            outcome.changes.retired,
            ", ".join(verdict.gate for verdict in failures) or None,
            "; ".join(str(verdict) for verdict in failures) or None,
        ],
    )
