"""Identity resolution: from canonical records to people and companies with stable ids.

    nodes -> evidence -> components, refined -> ids -> gates -> promotion

All of it happens in one transaction: what passes the gates is published whole; what
fails is rolled back and held, and the last good people stay as they are.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator

import duckdb

from cdp_assets.identity.evidence import stage_evidence
from cdp_assets.identity.gates import Verdict, pair_gates, result_gates
from cdp_assets.identity.model import MatchModel, read_model
from cdp_assets.identity.nodes import stage_nodes
from cdp_assets.identity.outcome import (
    ObjectOutcome,
    ResolutionResult,
    measure,
    record_run,
)
from cdp_assets.identity.promotion import (
    promote_changes,
    promote_model,
    promote_people,
    stage_changes,
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


class _HeldError(Exception):
    """Rolls the transaction back when a gate failed; never leaves this module."""


def resolve(
    connection: duckdb.DuckDBPyConnection,
    *,
    run: int,
    as_of: dt.datetime,
    say: Say = print,
    ruleset: Ruleset | None = None,
) -> ResolutionResult:
    """Resolve all records and publish the people, or hold the run.

    Args:
        connection: The warehouse, open for writing, with the canonical model built.
        run: The number that rows written now name as their cause.
        as_of: The instant taken as now (UTC).
        say: Told one line per step.
        ruleset: Another ruleset than the one shipped.

    Returns:
        The figures and the gates' verdicts; ``raise_if_held`` turns a held run into an
        error.
    """
    resolution = _Resolution(connection, ruleset or read_ruleset(), run, say)
    started_at = utc_now()
    try:
        with transaction(connection):
            resolution.stage_and_publish(as_of)
            result = resolution.result("promoted")
            record_run(connection, result, started_at=started_at, as_of=as_of)
    except _HeldError:
        result = resolution.result("held")
        record_run(connection, result, started_at=started_at, as_of=as_of)
    return result


class _Resolution:
    """One run: its ruleset, what it found so far, and the seconds it took."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        ruleset: Ruleset,
        run: int,
        say: Say,
    ) -> None:
        self._connection = connection
        self._ruleset = ruleset
        self._run = run
        self._say = say
        use = ruleset.individual.model
        self._model = read_model(use.file) if use else None
        self._outcomes: dict[str, ObjectOutcome] = {}
        self._seconds: dict[str, float] = {}

    def stage_and_publish(self, as_of: dt.datetime) -> None:
        """Do everything; the caller holds the transaction.

        Raises:
            _HeldError: A gate failed.
        """
        with self._step("nodes"):
            stage_nodes(self._connection, self._ruleset)
        self._resolve("individual", self._ruleset.individual, self._model)
        self._resolve("account", self._ruleset.account, None)
        if any(outcome.failures for outcome in self._outcomes.values()):
            raise _HeldError
        if self._model:
            promote_model(self._connection, self._model, as_of)
        compile_reconciliation(self._connection, self._ruleset)

    def result(self, status: str) -> ResolutionResult:
        """What the run came to."""
        return ResolutionResult(
            run=self._run,
            status=status,
            ruleset_version=self._ruleset.version(),
            model_version=self._model.version if self._model else None,
            outcomes=dict(self._outcomes),
            seconds=dict(self._seconds),
        )

    def _resolve(self, name: str, rules: ObjectRules, model: MatchModel | None) -> None:
        connection = self._connection
        stage_published(connection, name)
        unchanged = nothing_to_resolve(
            connection,
            name,
            ruleset_version=self._ruleset.version(),
            model_version=model.version if model else None,
        )
        if unchanged:
            self._say(f"{name}: nothing that is compared has changed")
            keep_published(connection, name)
            refined, verdicts = 0, []
        else:
            refined, verdicts = self._stage_people(name, rules, model)
        with self._step(f"{name}: gates"):
            changes = stage_changes(connection)
            if not unchanged:
                verdicts += result_gates(connection, name, rules, changes)
            self._outcomes[name] = measure(
                connection,
                name,
                groups_refined=refined,
                changes=changes,
                verdicts=verdicts,
            )
        with self._step(f"{name}: promotion"):
            if not unchanged:
                promote_people(connection, name, run=self._run)
            promote_changes(connection, name, run=self._run)

    def _stage_people(
        self, name: str, rules: ObjectRules, model: MatchModel | None
    ) -> tuple[int, list[Verdict]]:
        """Evidence, groups and ids of one object, staged."""
        connection = self._connection
        with self._step(f"{name}: pair budget"):
            stage_matchable(connection, name, rules)
            verdicts = pair_gates(connection, name, rules)
        if not all(verdict.passed for verdict in verdicts):
            self._outcomes[name] = ObjectOutcome.unmeasured(name, verdicts)
            raise _HeldError
        with contextlib.ExitStack() as stack:
            scorer = None
            with self._step(f"{name}: evidence"):
                if model:
                    scorer = stack.enter_context(open_scorer(connection, model))
                stage_evidence(connection, name, rules, scorer)
            with self._step(f"{name}: components"):
                refined = stage_people(connection, rules, scorer)
        with self._step(f"{name}: ids"):
            stage_tiers(connection, name, rules)
            stage_ids(connection, name, run=self._run)
        return refined, verdicts

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._seconds[name] = round(time.perf_counter() - begun, 2)
        self._say(f"{name}: {self._seconds[name]:.1f} s")
