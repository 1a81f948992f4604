"""One labelled file through the product's own path, in a scratch warehouse.

Loaded as a stream, mapped to the canonical model, resolved by a ruleset and a model
that is trained on the file without its labels. The truth is read when all that is done.
"""

import resource
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from cdp_assets.identity.bench.canonical import Canonical
from cdp_assets.identity.bench.declared import BenchMap, read_map
from cdp_assets.identity.bench.facts import facts_kept, without_broken
from cdp_assets.identity.bench.records import (
    STREAM,
    column_fields,
    layout_of,
    load_records,
    refusals,
    stream_of,
)
from cdp_assets.identity.bench.training import train_on
from cdp_assets.identity.bench.truth import check_truth, stage_truth
from cdp_assets.identity.bench.values import settle_national_numbers
from cdp_assets.identity.clock import Clock, Say
from cdp_assets.identity.decided import stage_decided
from cdp_assets.identity.evaluation import Quality, quality_of
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


@dataclass
class BenchResult:
    """What came of a file."""

    quality: Quality
    records: int
    refused: int
    entities: int
    clusters: int
    largest: int
    true_pairs: int
    ceiling: float
    """The share of true pairs that blocking brings together directly."""
    verdicts: list[Verdict]
    refusal: str = ""
    """Where and why the first row that could not be loaded was refused."""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0


def bench(
    records: Path,
    truth: Path,
    map_file: Path,
    *,
    ruleset: Path = GENERIC,
    out: Path,
    say: Say = print,
) -> BenchResult:
    """Resolve a labelled file and compare the result with its truth.

    Args:
        records: CSV with a header.
        truth: CSV of ``source, record_id, entity_id``; more columns do no harm.
        map_file: What the columns of ``records`` mean.
        ruleset: The rules to resolve by.
        out: Where ``clusters.csv`` goes; made if it is not there.
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
        verdicts = _resolve(connection, declared, rules, clock)
        with clock.step("compare with the truth"):
            _export(connection, declared, out / "clusters.csv")
            result = _compare(connection, declared, truth, out / "clusters.csv")
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
) -> list[Verdict]:
    """Train and resolve; the gates are judged and hold nothing."""
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
    return [
        Verdict(
            verdict.gate,
            getattr(rules.gates, verdict.gate, verdict.limit),
            verdict.value,
            verdict.blame,
        )
        for verdict in result.outcomes[declared.object].verdicts
    ]


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


def _export(
    connection: duckdb.DuckDBPyConnection, declared: BenchMap, file: Path
) -> None:
    """Write ``clusters.csv``: every record under the source and key of the file."""
    fields = column_fields(declared)
    connection.execute(
        f"""
        create or replace temp table cluster as
        select
            cell.{fields[declared.source]} as source,
            cell.{fields[declared.key]} as record_id,
            link.unified_{declared.object}_id as cluster_id,
            cell._record_id as record
        from dlo.{STREAM} as cell
        inner join identity.unified_link_{declared.object} as link
            on link.record = cell._record_id
        """
    )
    connection.execute(
        f"""
        copy (select source, record_id, cluster_id from cluster order by all)
        to '{str(file).replace("'", "''")}' (header, delimiter ',')
        """
    )


def _compare(
    connection: duckdb.DuckDBPyConnection,
    declared: BenchMap,
    truth: Path,
    clusters: Path,
) -> BenchResult:
    """Read the truth, for the first time, and count."""
    stage_truth(connection, truth)
    connection.execute(
        """
        create or replace temp table truth_cluster as
        select
            truth.entity, cluster.record,
            coalesce(cluster.cluster_id,
                'alone ' || truth.source || ':' || truth.record_id) as person
        from truth_record as truth left join cluster using (source, record_id)
        """
    )
    true_pairs, entities = connection.execute(
        """
        select coalesce(sum(n * (n - 1) // 2), 0), count(*)
        from (select count(*) as n from truth_cluster group by entity)
        """
    ).fetchall()[0]
    count, people, largest = connection.execute(
        """
        select coalesce(sum(n), 0), count(*), coalesce(max(n), 0)
        from (select count(*) as n from cluster group by cluster_id)
        """
    ).fetchall()[0]
    return BenchResult(
        quality=quality_of(connection, "truth_cluster"),
        records=int(count),
        refused=0,
        entities=entities,
        clusters=people,
        largest=largest,
        true_pairs=int(true_pairs),
        ceiling=_ceiling(connection, int(true_pairs)),
        verdicts=[],
    )


def _ceiling(connection: duckdb.DuckDBPyConnection, true_pairs: int) -> float:
    """The share of true pairs that are among those compared at first."""
    if not true_pairs:
        return 1.0
    found = connection.execute(
        """
        with node as (
            select node_id, entity
            from truth_cluster inner join identity.node using (record)
        )
        select count(*) from bench_candidate as pair
        inner join node as l on pair.node_l = l.node_id
        inner join node as r on pair.node_r = r.node_id
        where l.entity = r.entity
        """
    ).fetchall()[0][0]
    return float(found) / true_pairs
