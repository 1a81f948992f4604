"""Identity resolution: from canonical records to people and companies with stable ids.

    changes -> nodes -> evidence -> components, refined -> ids -> gates -> promotion

Of the records that changed, or of all; ``way.py`` says which and why, and the people
are the same. Everything up to the gates is staged in temporary tables. What passes is
published in one transaction per object; what fails is held, the last good people stay,
and the next run sees the same changes again.
"""

import contextlib
import datetime as dt
from collections.abc import Mapping

import duckdb

from cdp_assets.identity.candidates import stage_left_out, stage_pairs
from cdp_assets.identity.clock import Clock, Say
from cdp_assets.identity.decided import note_applied, stage_decided
from cdp_assets.identity.delta import stage_changes, stage_link_after, stage_promotion
from cdp_assets.identity.digests import count_nodes, stage_changed_records
from cdp_assets.identity.evidence import stage_evidence
from cdp_assets.identity.gates import budget_gates, pair_gates, result_gates
from cdp_assets.identity.increment import (
    stage_dirty,
    stage_neighbourhood,
    stage_new_evidence,
    stage_scope,
)
from cdp_assets.identity.model import MatchModel, read_model
from cdp_assets.identity.nodes import prepare_nodes, stage_nodes
from cdp_assets.identity.outcome import (
    ObjectOutcome,
    ResolutionResult,
    measure,
    record_run,
)
from cdp_assets.identity.promotion import promote, promote_model
from cdp_assets.identity.reconciliation import compile_reconciliation
from cdp_assets.identity.recount import stage_changed_nodes, stage_recompared
from cdp_assets.identity.refinement import stage_people
from cdp_assets.identity.release import let_through, note_held, use_up
from cdp_assets.identity.rules import ObjectRules, Ruleset, read_ruleset
from cdp_assets.identity.scoring import Scorer, open_scorer
from cdp_assets.identity.shared import counts_over_all, stage_all_matchable
from cdp_assets.identity.stability import stage_everybody, stage_ids
from cdp_assets.identity.tiers import stage_tiers
from cdp_assets.identity.verdict import Verdict
from cdp_assets.identity.way import (
    Versions,
    Way,
    judge_share,
    must_be_full,
    program_version,
)
from cdp_assets.warehouse import transaction, utc_now


def resolve(
    connection: duckdb.DuckDBPyConnection,
    *,
    run: int,
    as_of: dt.datetime,
    say: Say = print,
    ruleset: Ruleset | None = None,
    models: Mapping[str, MatchModel] | None = None,
    full: bool | None = None,
) -> ResolutionResult:
    """Resolve what changed, or all records, and publish the people or hold the run.

    Args:
        connection: The warehouse, open for writing outside a transaction, with the
            canonical model built.
        run: The number that rows written now name as their cause.
        as_of: The instant taken as now (UTC).
        say: Told one line per step.
        ruleset: Another ruleset than the one shipped.
        models: Per object the model to use in place of the ruleset's file.
        full: True resolves everybody, False what changed wherever that is possible;
            by default it depends on how much changed.

    Returns:
        The figures and the gates' verdicts; ``raise_if_held`` turns a held run into an
        error.
    """
    ruleset = ruleset or read_ruleset()
    clock = Clock(say)
    with clock.step("changes"):
        prepare_nodes(connection)
    program = program_version(connection)
    outcomes = {}
    for name in ("individual", "account"):
        model = (models or {}).get(name) or _model_of(ruleset, name)
        resolution = _Resolution(connection, ruleset, name, model, clock)
        outcomes[name] = resolution.run(run, as_of, program, full=full)
    return ResolutionResult(run=run, outcomes=outcomes, seconds=dict(clock.seconds))


def _model_of(ruleset: Ruleset, name: str) -> MatchModel | None:
    use = getattr(ruleset, name).model
    return read_model(use.file) if use and use.file else None


class _Resolution:
    """The resolution of one object."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        ruleset: Ruleset,
        name: str,
        model: MatchModel | None,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._ruleset = ruleset
        self._rules: ObjectRules = getattr(ruleset, name)
        self._name = name
        self._model = (
            model.for_records(count_nodes(connection, name)) if model else None
        )
        self._clock = clock

    def run(
        self, run: int, as_of: dt.datetime, program: str, *, full: bool | None
    ) -> ObjectOutcome:
        """Stage, judge and publish."""
        started_at = utc_now()
        model = self._model.version if self._model else None
        versions = Versions(self._ruleset.version(), model, program)
        way = self._find_way(versions, full)
        self._clock.say(f"{self._name}: {way.name}, {way.reason}")
        outcome = self._stage(run, versions, way)
        if outcome.failures:
            self._clock.say(f"{self._name}: held; {outcome.failures[0]}")
            record_run(
                self._connection, outcome, run=run, started_at=started_at, as_of=as_of
            )
            note_held(self._connection, self._name, run, outcome.failures)
            return outcome
        with self._step("promotion"), transaction(self._connection):
            promote(self._connection, self._name, run=run)
            note_applied(self._connection, self._name, run)
            use_up(self._connection, self._name, run)
            if self._model:
                promote_model(self._connection, self._model, as_of)
            compile_reconciliation(self._connection, self._ruleset)
            record_run(
                self._connection, outcome, run=run, started_at=started_at, as_of=as_of
            )
        return outcome

    def _find_way(self, versions: Versions, asked: bool | None) -> Way:
        """Choose the way, and stage the nodes that it needs."""
        connection, ruleset, name = self._connection, self._ruleset, self._name
        with self._step("nodes"):
            reason = must_be_full(connection, name, versions, asked=asked is True)
            if reason is None and counts_over_all(self._rules, self._model):
                reason = "the ruleset asks for words counted over all records"
            stage_changed_records(connection, name)
            stage_nodes(connection, ruleset, name, changed_only=reason is None)
            stage_changed_nodes(connection, name)
            large, share, changed = judge_share(connection, name)
            if reason is None and asked is None and large:
                reason = share
                stage_nodes(connection, ruleset, name, changed_only=False)
        return Way(reason is not None, reason or share, changed)

    def _stage(self, run: int, versions: Versions, way: Way) -> ObjectOutcome:
        """Stage the people and what publishing them changes, and judge both."""
        connection, name = self._connection, self._name
        with contextlib.ExitStack() as stack:
            stage = self._stage_everybody if way.full else self._stage_changed
            scorer, verdicts = stage(stack)
            if not all(verdict.passed for verdict in verdicts):
                return ObjectOutcome.unmeasured(name, versions, way, verdicts)
            with self._step("components"):
                refined = stage_people(connection, self._rules, scorer)
        with self._step("ids"):
            stage_tiers(connection, self._rules)
            stage_ids(connection, name, run=run)
        with self._step("gates"):
            changes = stage_changes(connection, name)
            stage_link_after(connection, name, full=way.full)
            found = result_gates(connection, name, self._rules, changes)
            verdicts += let_through(connection, name, found)
            stage_promotion(connection, name, full=way.full)
            return measure(
                connection,
                name,
                versions,
                way,
                groups_refined=refined,
                changes=changes,
                verdicts=verdicts,
            )

    def _stage_everybody(
        self, stack: contextlib.ExitStack
    ) -> tuple[Scorer | None, list[Verdict]]:
        """The evidence of all records; none where pairs are too many."""
        connection, name, rules = self._connection, self._name, self._rules
        with self._step("pair budget"):
            stage_all_matchable(connection, name, rules, self._model)
            stage_decided(connection, name)
            stage_left_out(connection, name, rules)
            verdicts = let_through(
                connection, name, pair_gates(connection, name, rules)
            )
        if not all(verdict.passed for verdict in verdicts):
            return None, verdicts
        with self._step("evidence"):
            scorer = self._open_scorer(stack)
            stage_pairs(connection, name, rules)
            stage_evidence(connection, name, rules, scorer)
            stage_everybody(connection, name)
        return scorer, verdicts

    def _stage_changed(
        self, stack: contextlib.ExitStack
    ) -> tuple[Scorer | None, list[Verdict]]:
        """The evidence of what changed; none where pairs are too many."""
        connection, name, rules = self._connection, self._name, self._rules
        with self._step("pair budget"):
            stage_recompared(connection, name, rules, self._model)
            stage_decided(connection, name, "node_now")
            made = stage_dirty(connection, name, rules)
            verdicts = let_through(
                connection, name, budget_gates(connection, rules, made)
            )
        if not all(verdict.passed for verdict in verdicts):
            return None, verdicts
        with self._step("evidence"):
            stage_neighbourhood(connection, name)
            scorer = self._open_scorer(stack)
            stage_new_evidence(connection, name, rules, scorer)
            stage_scope(connection, name)
        return scorer, verdicts

    def _open_scorer(self, stack: contextlib.ExitStack) -> Scorer | None:
        if self._model is None:
            return None
        return stack.enter_context(open_scorer(self._connection, self._model))

    def _step(self, name: str) -> contextlib.AbstractContextManager[None]:
        return self._clock.step(f"{self._name}: {name}")
