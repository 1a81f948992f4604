"""Identity resolution: from canonical records to people and companies with stable ids.

    nodes -> evidence -> components, refined -> ids -> gates -> promotion

Everything up to the gates is staged in temporary tables. What passes is published in
one transaction per object; what fails is held, and the last good people stay.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator

import duckdb

from cdp_assets.identity.decided import note_applied, stage_decided
from cdp_assets.identity.evidence import stage_evidence, stage_left_out
from cdp_assets.identity.gates import Verdict, pair_gates, result_gates
from cdp_assets.identity.model import MatchModel, read_model
from cdp_assets.identity.nodes import count_nodes, stage_nodes
from cdp_assets.identity.outcome import (
    ObjectOutcome,
    ResolutionResult,
    measure,
    record_run,
)
from cdp_assets.identity.promotion import (
    promote,
    promote_model,
    stage_changes,
    stage_promotion,
)
from cdp_assets.identity.reconciliation import compile_reconciliation
from cdp_assets.identity.refinement import stage_people
from cdp_assets.identity.rules import ObjectRules, Ruleset, read_ruleset
from cdp_assets.identity.scoring import open_scorer
from cdp_assets.identity.shared import stage_matchable
from cdp_assets.identity.stability import stage_ids, stage_published
from cdp_assets.identity.tiers import stage_tiers
from cdp_assets.identity.unchanged import keep_published, nothing_to_resolve
from cdp_assets.warehouse import transaction, utc_now

Say = Callable[[str], None]


def resolve(
    connection: duckdb.DuckDBPyConnection,
    *,
    run: int,
    as_of: dt.datetime,
    say: Say = print,
    ruleset: Ruleset | None = None,
    model: MatchModel | None = None,
) -> ResolutionResult:
    """Resolve all records and publish the people, or hold the run.

    Args:
        connection: The warehouse, open for writing outside a transaction, with the
            canonical model built.
        run: The number that rows written now name as their cause.
        as_of: The instant taken as now (UTC).
        say: Told one line per step.
        ruleset: Another ruleset than the one shipped.
        model: Another model for people than the one that the ruleset names.

    Returns:
        The figures and the gates' verdicts; ``raise_if_held`` turns a held run into an
        error.
    """
    ruleset = ruleset or read_ruleset()
    clock = _Clock(say)
    with clock.step("nodes"):
        stage_nodes(connection, ruleset)
    use = ruleset.individual.model
    if model is None and use:
        model = read_model(use.file)
    outcomes = {}
    for name in ("individual", "account"):
        resolution = _Resolution(
            connection, ruleset, name, model if name == "individual" else None, clock
        )
        outcomes[name] = resolution.run(run, as_of)
    return ResolutionResult(run=run, outcomes=outcomes, seconds=dict(clock.seconds))


class _Clock:
    """Says how long each step took, and remembers it."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 2)
        self.say(f"{name}: {self.seconds[name]:.1f} s")


class _Resolution:
    """The resolution of one object."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        ruleset: Ruleset,
        name: str,
        model: MatchModel | None,
        clock: _Clock,
    ) -> None:
        self._connection = connection
        self._ruleset = ruleset
        self._rules: ObjectRules = getattr(ruleset, name)
        self._name = name
        self._model = (
            model.for_records(count_nodes(connection, name)) if model else None
        )
        self._versions = (
            ruleset.version(),
            self._model.version if self._model else None,
        )
        self._clock = clock

    def run(self, run: int, as_of: dt.datetime) -> ObjectOutcome:
        """Stage, judge and publish."""
        started_at = utc_now()
        stage_published(self._connection, self._name)
        stage_decided(self._connection, self._name)
        unchanged = nothing_to_resolve(self._connection, self._name, self._versions)
        if unchanged:
            self._clock.say(f"{self._name}: nothing that is compared has changed")
            keep_published(self._connection, self._name)
            refined, verdicts = 0, list[Verdict]()
        else:
            refined, verdicts = self._stage_people(run)
        outcome = self._judge(refined, verdicts, judged=not unchanged)
        if outcome.failures:
            self._clock.say(f"{self._name}: held; {outcome.failures[0]}")
            record_run(
                self._connection, outcome, run=run, started_at=started_at, as_of=as_of
            )
            return outcome
        with self._step("promotion"):
            stage_promotion(self._connection, self._name, people=not unchanged)
            with transaction(self._connection):
                promote(self._connection, self._name, run=run, people=not unchanged)
                note_applied(self._connection, self._name, run)
                if self._model:
                    promote_model(self._connection, self._model, as_of)
                compile_reconciliation(self._connection, self._ruleset)
                record_run(
                    self._connection,
                    outcome,
                    run=run,
                    started_at=started_at,
                    as_of=as_of,
                )
        return outcome

    def _judge(
        self, refined: int, verdicts: list[Verdict], *, judged: bool
    ) -> ObjectOutcome:
        if not all(verdict.passed for verdict in verdicts):
            return ObjectOutcome.unmeasured(self._name, self._versions, verdicts)
        with self._step("gates"):
            changes = stage_changes(self._connection)
            if judged:
                verdicts = verdicts + result_gates(
                    self._connection, self._rules, changes
                )
            return measure(
                self._connection,
                self._name,
                self._versions,
                groups_refined=refined,
                changes=changes,
                verdicts=verdicts,
            )

    def _stage_people(self, run: int) -> tuple[int, list[Verdict]]:
        """Evidence, groups and ids of one object; nothing where pairs are too many."""
        connection, rules, model = self._connection, self._rules, self._model
        with self._step("pair budget"):
            stage_matchable(connection, self._name, rules, model)
            stage_left_out(connection, self._name, rules)
            verdicts = pair_gates(connection, self._name, rules)
        if not all(verdict.passed for verdict in verdicts):
            return 0, verdicts
        with contextlib.ExitStack() as stack:
            scorer = None
            with self._step("evidence"):
                if model:
                    scorer = stack.enter_context(open_scorer(connection, model))
                stage_evidence(connection, self._name, rules, scorer)
            with self._step("components"):
                refined = stage_people(connection, rules, scorer)
        with self._step("ids"):
            stage_tiers(connection, self._name, rules)
            stage_ids(connection, self._name, run=run)
        return refined, verdicts

    def _step(self, name: str) -> contextlib.AbstractContextManager[None]:
        return self._clock.step(f"{self._name}: {name}")
