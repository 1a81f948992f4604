"""Training on a labelled file, and resolving it with gates that hold nothing."""

from dataclasses import dataclass

import duckdb

from cdp_assets.identity.bench.facts import facts_kept, without_broken
from cdp_assets.identity.bench.training import train_on
from cdp_assets.identity.candidates import stage_keyed, stage_pairs
from cdp_assets.identity.clock import Clock
from cdp_assets.identity.decided import stage_decided
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.nodes import prepare_nodes, stage_nodes
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import ObjectRules, Ruleset
from cdp_assets.identity.shared import stage_all_matchable
from cdp_assets.identity.verdict import Verdict
from cdp_assets.identity.way import Way
from cdp_assets.warehouse import utc_now

# In a scratch warehouse nobody is harmed by what a gate would hold.
_OPEN = 10**15


@dataclass(frozen=True)
class Trained:
    """What a file is resolved by: its model, where there is one, and the rules.

    The rules are those declared with gates that stand open, and without the facts that
    the file does not keep to.
    """

    object_name: str
    declared: Ruleset
    ruleset: Ruleset
    model: MatchModel | None

    @property
    def rules(self) -> ObjectRules:
        """The rules of the file's object."""
        rules: ObjectRules = getattr(self.ruleset, self.object_name)
        return rules


def train_on_file(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    ruleset: Ruleset,
    clock: Clock,
) -> Trained:
    """Train on what the canonical model holds, where the ruleset uses a model.

    Keeps the pairs that blocking finds in ``bench_candidate``.
    """
    opened = ruleset.model_copy(
        update={
            name: _opened(getattr(ruleset, name)) for name in ("individual", "account")
        }
    )
    rules: ObjectRules = getattr(opened, object_name)
    model, broken = None, dict[str, float]()
    with clock.step("train"):
        prepare_nodes(connection)
        stage_nodes(connection, opened, object_name, changed_only=False)
        if rules.model:
            model = train_on(connection, object_name, rules)
        else:
            _stage_pairs(connection, object_name, rules, None)
        connection.execute(
            "create or replace temp table bench_candidate as from candidate"
        )
        if model:
            opened, broken = _keep_facts(connection, opened, object_name)
    for fact, share in broken.items():
        clock.say(
            f"{fact}: {share:.1%} of the pairs that are surely one contradict it; "
            "left to the model"
        )
    return Trained(object_name, ruleset, opened, model)


def resolve_file(
    connection: duckdb.DuckDBPyConnection,
    trained: Trained,
    clock: Clock,
    *,
    run: int = 1,
    full: bool | None = True,
) -> tuple[list[Verdict], Way]:
    """Resolve what is loaded; the gates are judged and hold nothing.

    Returns:
        The verdicts by the gates declared, and the way that was taken.
    """
    name = trained.object_name
    result = resolve(
        connection,
        run=run,
        as_of=utc_now(),
        say=lambda _: None,
        ruleset=trained.ruleset,
        models={name: trained.model} if trained.model else None,
        full=full,
    )
    own = f"{name}: "
    for step, seconds in result.seconds.items():
        if step == "nodes" or step.startswith(own):
            clock.seconds[f"resolve: {step.removeprefix(own)}"] = seconds
            clock.say(f"resolve: {step.removeprefix(own)}: {seconds:.1f} s")
    gates = getattr(trained.declared, name).gates
    outcome = result.outcomes[name]
    verdicts = [
        Verdict(
            verdict.gate,
            getattr(gates, verdict.gate, verdict.limit),
            verdict.value,
            verdict.blame,
        )
        for verdict in outcome.verdicts
    ]
    return verdicts, outcome.way


def stage_candidates(connection: duckdb.DuckDBPyConnection, trained: Trained) -> None:
    """Build ``bench_candidate`` again, of what has been loaded since the training."""
    prepare_nodes(connection)
    stage_nodes(connection, trained.ruleset, trained.object_name, changed_only=False)
    _stage_pairs(connection, trained.object_name, trained.rules, trained.model)
    connection.execute("create or replace temp table bench_candidate as from candidate")


def _stage_pairs(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    model: MatchModel | None,
) -> None:
    stage_all_matchable(connection, object_name, rules, model)
    stage_decided(connection, object_name)
    stage_keyed(connection, object_name, rules)
    stage_pairs(connection, object_name, rules)


def _keep_facts(
    connection: duckdb.DuckDBPyConnection, ruleset: Ruleset, name: str
) -> tuple[Ruleset, dict[str, float]]:
    """The ruleset without the facts that the file does not keep to, and those."""
    rules: ObjectRules = getattr(ruleset, name)
    if not rules.cannot_link:
        return ruleset, {}
    shares = facts_kept(connection, rules)
    kept = without_broken(rules, shares)
    broken: dict[str, float] = {
        fact: share for fact, share in shares.items() if fact not in kept.cannot_link
    }
    return ruleset.model_copy(update={name: kept}), broken


def _opened(rules: ObjectRules) -> ObjectRules:
    """The same rules with gates that stand open, but for pairs of one value."""
    gates = rules.gates.model_copy(
        update={
            "largest_person": _OPEN,
            "share_in_conflict": 1.0,
            "pairs": _OPEN,
            "consolidation_change": 1.0,
            "ids_changed": 1.0,
        }
    )
    return rules.model_copy(update={"gates": gates})
