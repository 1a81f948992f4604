"""One labelled file through the product's own path, in a scratch warehouse.

Loaded as a stream, mapped to the canonical model, resolved by a ruleset and a model
that is trained on the file without its labels. The truth is read when all that is done.
"""

import resource
import tempfile
from pathlib import Path

import duckdb

from cdp_assets.identity.bench.canonical import Canonical
from cdp_assets.identity.bench.declared import BenchMap, read_map
from cdp_assets.identity.bench.facts import facts_kept, without_broken
from cdp_assets.identity.bench.misses import write_misses
from cdp_assets.identity.bench.records import (
    layout_of,
    load_records,
    refusals,
    stream_of,
)
from cdp_assets.identity.bench.result import BenchResult, compare, export_clusters
from cdp_assets.identity.bench.scores import write_scores
from cdp_assets.identity.bench.training import train_on
from cdp_assets.identity.bench.truth import check_truth
from cdp_assets.identity.bench.values import settle_national_numbers
from cdp_assets.identity.clock import Clock, Say
from cdp_assets.identity.decided import stage_decided
from cdp_assets.identity.evidence import stage_keyed, stage_pairs
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.nodes import prepare_nodes, stage_nodes
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import RULESET, ObjectRules, Ruleset, read_ruleset
from cdp_assets.identity.shared import stage_all_matchable
from cdp_assets.identity.verdict import Verdict
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse, utc_now

GENERIC = RULESET.with_name("labelled.yaml")

# In a scratch warehouse nobody is harmed by what a gate would hold.
_OPEN = 10**15


def bench(
    records: Path,
    truth: Path,
    map_file: Path,
    *,
    ruleset: Path = GENERIC,
    out: Path,
    misses: bool = False,
    say: Say = print,
) -> BenchResult:
    """Resolve a labelled file and compare the result with its truth.

    Args:
        records: CSV with a header.
        truth: CSV of ``source, record_id, entity_id``; more columns do no harm.
        map_file: What the columns of ``records`` mean.
        ruleset: The rules to resolve by.
        out: Where ``clusters.csv``, ``scores.csv`` and ``curve.csv`` go; made if it is
            not there.
        misses: Write ``misses.csv`` too, every wrong pair and why.
        say: Told one line per step.

    Raises:
        OperatorError: A file or a declaration that cannot be used, with the remedy.
    """
    layout = layout_of(records)
    check_truth(truth)
    declared = read_map(map_file, layout.columns)
    rules = read_ruleset(ruleset)
    out.mkdir(parents=True, exist_ok=True)
    clock = Clock(say)
    with (
        tempfile.TemporaryDirectory(prefix="cdp-bench-") as scratch,
        Warehouse(Paths(Path(scratch))).writing("a bench") as connection,
    ):
        with clock.step("load"):
            spec = stream_of(declared, layout)
            loaded = load_records(connection, records, spec, utc_now())
            settle_national_numbers(connection)
        with clock.step("map"):
            Canonical(connection, declared).build()
        verdicts, model, used = _resolve(connection, declared, rules, clock)
        with clock.step("compare with the truth"):
            export_clusters(connection, declared, out / "clusters.csv")
            result = compare(connection, declared, truth, used.model)
            write_scores(result, out)
        if misses:
            with clock.step("misses"):
                file = out / "misses.csv"
                result.misses = write_misses(
                    connection, declared.object, used, model, file
                )
        result.verdicts = verdicts
        result.refused = loaded.rows_in - result.records
        result.refusal = refusals(connection, spec)
        result.seconds = clock.seconds
        result.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return result


def _resolve(
    connection: duckdb.DuckDBPyConnection,
    declared: BenchMap,
    ruleset: Ruleset,
    clock: Clock,
) -> tuple[list[Verdict], MatchModel | None, ObjectRules]:
    """Train and resolve; the gates are judged and hold nothing.

    Returns:
        The verdicts, and the model and the rules that the file was resolved by.
    """
    rules: ObjectRules = getattr(ruleset, declared.object)
    opened = ruleset.model_copy(
        update={
            name: _opened(getattr(ruleset, name)) for name in ("individual", "account")
        }
    )
    model, opened = _train(connection, declared.object, opened, clock)
    result = resolve(
        connection,
        run=1,
        as_of=utc_now(),
        say=lambda _: None,
        ruleset=opened,
        models={declared.object: model} if model else None,
        full=True,
    )
    own = f"{declared.object}: "
    for step, seconds in result.seconds.items():
        if step == "nodes" or step.startswith(own):
            clock.seconds[f"resolve: {step.removeprefix(own)}"] = seconds
            clock.say(f"resolve: {step.removeprefix(own)}: {seconds:.1f} s")
    verdicts = [
        Verdict(
            verdict.gate,
            getattr(rules.gates, verdict.gate, verdict.limit),
            verdict.value,
            verdict.blame,
        )
        for verdict in result.outcomes[declared.object].verdicts
    ]
    return verdicts, model, getattr(opened, declared.object)


def _train(
    connection: duckdb.DuckDBPyConnection, name: str, ruleset: Ruleset, clock: Clock
) -> tuple[MatchModel | None, Ruleset]:
    """The model, where the ruleset uses one, and the ruleset as the file bears it.

    Keeps the pairs that blocking finds in ``bench_candidate``.
    """
    rules: ObjectRules = getattr(ruleset, name)
    model, broken = None, dict[str, float]()
    with clock.step("train"):
        prepare_nodes(connection)
        stage_nodes(connection, ruleset, name, changed_only=False)
        if rules.model:
            model = train_on(connection, name, rules)
            if model:
                ruleset, broken = _keep_facts(connection, ruleset, name)
        else:
            stage_all_matchable(connection, name, rules, None)
            stage_decided(connection, name)
            stage_keyed(connection, name, rules)
            stage_pairs(connection, name, rules)
        connection.execute("create temp table bench_candidate as from candidate")
    for fact, share in broken.items():
        clock.say(
            f"{fact}: {share:.1%} of the pairs that are surely one contradict it; "
            "left to the model"
        )
    return model, ruleset


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
