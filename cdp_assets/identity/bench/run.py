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
from cdp_assets.identity.bench.misses import write_misses
from cdp_assets.identity.bench.records import (
    layout_of,
    load_records,
    refusals,
    stream_of,
)
from cdp_assets.identity.bench.resolving import (
    Trained,
    resolve_file,
    train_on_file,
)
from cdp_assets.identity.bench.result import BenchResult, compare, export_clusters
from cdp_assets.identity.bench.scores import write_scores
from cdp_assets.identity.bench.truth import check_truth
from cdp_assets.identity.bench.values import settle_national_numbers
from cdp_assets.identity.clock import Clock, Say
from cdp_assets.identity.rules import RULESET, read_ruleset
from cdp_assets.paths import Paths
from cdp_assets.streams.ledger import LoadResult
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import Warehouse, utc_now

GENERIC = RULESET.with_name("labelled.yaml")


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
    clock = Clock(say)
    with (
        tempfile.TemporaryDirectory(prefix="cdp-bench-") as scratch,
        Warehouse(Paths(Path(scratch))).writing("a bench") as connection,
    ):
        spec = stream_of(declared, layout)
        loaded = load_and_map(connection, declared, spec, records, clock)
        trained = train_on_file(connection, declared.object, rules, clock)
        verdicts, _ = resolve_file(connection, trained, clock)
        result = score(connection, declared, trained, truth, out, clock, misses=misses)
        result.verdicts = verdicts
        result.refused = loaded.rows_in - result.records
        result.refusal = refusals(connection, spec)
        result.seconds = clock.seconds
        result.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return result


def load_and_map(
    connection: duckdb.DuckDBPyConnection,
    declared: BenchMap,
    spec: StreamSpec,
    records: Path,
    clock: Clock,
) -> LoadResult:
    """Load a file as every stream is loaded, and map all that is loaded."""
    with clock.step("load"):
        loaded = load_records(connection, records, spec, utc_now())
        settle_national_numbers(connection)
    with clock.step("map"):
        Canonical(connection, declared).build()
    return loaded


def score(
    connection: duckdb.DuckDBPyConnection,
    declared: BenchMap,
    trained: Trained,
    truth: Path,
    out: Path,
    clock: Clock,
    *,
    misses: bool,
) -> BenchResult:
    """Write the clusters, then read the truth, and write what they are worth."""
    out.mkdir(parents=True, exist_ok=True)
    with clock.step("compare with the truth"):
        export_clusters(connection, declared, out / "clusters.csv")
        result = compare(connection, declared, truth, trained.rules.model)
        write_scores(result, out)
    if misses:
        with clock.step("misses"):
            result.misses = write_misses(
                connection,
                declared.object,
                trained.rules,
                trained.model,
                out / "misses.csv",
            )
    return result
