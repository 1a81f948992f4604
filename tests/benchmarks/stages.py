"""One stage of the graph, in a process of its own, so that its peak memory is its own.

``python -m tests.benchmarks.stages STAGE FOLDER`` runs a stage over the runtime folder
and prints what it took as JSON. Neither starting Python nor parsing the dbt project is
counted: a running platform has done both long before.
"""

import contextlib
import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.runs import Run, join_run
from cdp_assets.warehouse import Warehouse, transaction, utc_now

Detail = dict[str, Any]
Stage = Callable[[Paths], Detail]


@contextlib.contextmanager
def writing(paths: Paths) -> Iterator[tuple[duckdb.DuckDBPyConnection, Run]]:
    with Warehouse(paths).writing("benchmark") as connection:
        yield connection, join_run(connection, paths, "benchmark")


def landing(paths: Paths) -> Detail:
    """The inbox's files into the landing zone: copied, hashed, on the disk."""
    from cdp_assets.streams.inbox import adopt
    from cdp_assets.streams.spec import load_streams

    adopted = adopt(paths, load_streams(), min_age_seconds=0).adopted
    files = [path for landed in adopted.values() for path in landed]
    return {
        "rows": len(files),
        "megabytes": sum(path.stat().st_size for path in files) // 2**20,
    }


def loading(paths: Paths) -> Detail:
    """Every stream into its DLO table."""
    from cdp_assets.streams.dlo import ensure_table
    from cdp_assets.streams.load import load_waiting
    from cdp_assets.streams.spec import load_streams

    rows = quarantined = 0
    parts = {}
    with writing(paths) as (connection, _):
        for name, spec in load_streams().items():
            begun = time.perf_counter()
            ensure_table(connection, spec)
            loaded = load_waiting(connection, paths, spec, started_at=utc_now())
            rows += loaded.rows_in
            quarantined += loaded.quarantined
            parts[name] = time.perf_counter() - begun
    return {"rows": rows, "quarantined": quarantined, "parts": parts}


def phones(paths: Paths) -> Detail:
    """Distinct phone numbers to E.164."""
    from cdp_assets.streams.reference import refresh_phones

    with writing(paths) as (connection, _):
        return {"rows": refresh_phones(connection).new}


def dbt(command: str, *selection: str) -> Stage:
    """A dbt command over a part of the project, in this process."""

    def stage(paths: Paths) -> Detail:
        from dbt.cli.main import dbtRunner

        with writing(paths) as (_, run):
            os.environ["CDP_AS_OF"] = run.as_of.isoformat(sep=" ")
        os.environ["CDP_WAREHOUSE"] = str(paths.warehouse)
        options = [
            *("--target", "warehouse", "--project-dir", str(DBT_PROJECT)),
            *("--profiles-dir", str(DBT_PROJECT)),
            *("--target-path", str(paths.root / "dbt")),
            *("--log-path", str(paths.root / "dbt")),
        ]
        said = io.StringIO()
        # dbt takes the lock by its plugin.
        with contextlib.redirect_stdout(said):
            # Parsing takes the same seconds at every size; it is not the stage's work.
            parsed = dbtRunner().invoke(["--quiet", "parse", *options])
            begun, spent = time.perf_counter(), time.process_time()
            outcome = dbtRunner(manifest=parsed.result).invoke(
                ["--quiet", command, *options, "--select", *selection]
            )
            seconds, cpu = time.perf_counter() - begun, time.process_time() - spent
        nodes = outcome.result.results if outcome.result else []
        if not nodes or (command != "test" and not outcome.success):
            sys.exit(f"dbt {command} {' '.join(selection)} failed:\n{said.getvalue()}")
        return {
            "failed": [n.node.name for n in nodes if n.status in ("error", "fail")],
            "nodes": len(nodes),
            "seconds": round(seconds, 2),
            "cpu_seconds": round(cpu, 2),
            "parts": {
                f"{node.node.schema}.{node.node.name}": node.execution_time
                for node in nodes
            },
        }

    return stage


def identity(paths: Paths) -> Detail:
    """Who is the same person: rules, model, groups, ids, gates."""
    from cdp_assets.identity.resolve import resolve

    with writing(paths) as (connection, run):
        result = resolve(
            connection, run=run.number, as_of=run.as_of, say=lambda _: None
        )
        result.raise_if_held()
        pairs = connection.execute("select count(*) from identity.evidence").fetchone()
    return {
        "rows": result.individual.records,
        "people": result.individual.people,
        "evidence": pairs[0] if pairs else 0,
        "parts": result.seconds,
    }


def segments(paths: Paths) -> Detail:
    """Who entered and left each segment."""
    from cdp_assets.segments.membership import update_membership
    from cdp_assets.segments.spec import load_segments

    parts, members = {}, 0
    with writing(paths) as (connection, run):
        for name, spec in load_segments().items():
            begun = time.perf_counter()
            result = update_membership(connection, spec, run.number, run.as_of)
            members += result.members
            parts[name] = time.perf_counter() - begun
    return {"rows": members, "parts": parts}


def activation(paths: Paths) -> Detail:
    """Plan, hand over, deliver to files and take the receipts in.

    Webhooks have no receiver here, so their changes wait in the outbox.
    """
    from cdp_assets.activation.delivery import deliver_activation
    from cdp_assets.activation.handover import hand_over
    from cdp_assets.activation.outbox import Outbox
    from cdp_assets.activation.planning import plan
    from cdp_assets.activation.receipts import acknowledge
    from cdp_assets.activation.settlement import settle
    from cdp_assets.activation.spec import load_activations
    from cdp_assets.streams.dlo import ensure_table
    from cdp_assets.streams.load import load_waiting
    from cdp_assets.streams.spec import load_streams

    outbox, receipts = Outbox(paths.outbox), load_streams()["system_receipt"]
    planned = delivered = withheld = 0
    parts: dict[str, float] = {}
    for spec in load_activations().values():
        begun = time.perf_counter()
        with writing(paths) as (connection, run):
            planned += plan(connection, spec, outbox, run.number, run.as_of).planned
            hand_over(connection, outbox)
        parts[f"{spec.name} plan"] = time.perf_counter() - begun
        begun = time.perf_counter()
        result = deliver_activation(outbox, spec, paths, at=run.as_of)
        delivered += result.delivered
        withheld += result.withheld
        parts[f"{spec.name} deliver"] = time.perf_counter() - begun
        begun = time.perf_counter()
        with writing(paths) as (connection, run):
            acknowledge(outbox, paths, utc_now())
            ensure_table(connection, receipts)
            load_waiting(connection, paths, receipts, started_at=utc_now())
            with transaction(connection):
                settle(connection, outbox)
        parts[f"{spec.name} acknowledge"] = time.perf_counter() - begun
    return {
        "rows": planned,
        "delivered": delivered,
        "withheld": withheld,
        "parts": parts,
    }


def profiles(paths: Paths) -> Detail:
    """Profile documents and lookup keys."""
    from cdp_assets.publication.documents import publish_documents

    with Warehouse(paths).reading() as connection:
        return {"rows": publish_documents(connection, paths).upserted}


def snapshot(paths: Paths) -> Detail:
    """The analysts' Parquet."""
    from cdp_assets.publication.snapshot import publish_snapshot

    with Warehouse(paths).reading() as connection:
        return {"rows": publish_snapshot(connection, paths).rows}


HARMONISATION = ("path:models/reference", "path:models/map", "path:models/dmo")
CUSTOMER = ("path:models/unified", "path:models/insights", "path:models/article")
# Unit tests judge the SQL and not the data; a run of the graph leaves them out too.
DATA_TESTS = ("--exclude-resource-type", "unit_test")

STAGES: dict[str, Stage] = {
    "landing": landing,
    "loading": loading,
    "phone numbers": phones,
    "seeds": dbt("seed", "path:seeds"),
    "harmonisation": dbt("run", *HARMONISATION),
    "harmonisation tests": dbt("test", *HARMONISATION, "path:seeds", *DATA_TESTS),
    "identity": identity,
    "profiles and insights": dbt("run", *CUSTOMER),
    "profile and insight tests": dbt("test", *CUSTOMER, *DATA_TESTS),
    "segments": segments,
    "activation": activation,
    "profile documents": profiles,
    "snapshot": snapshot,
}


def peak_megabytes() -> int:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(stage: str, folder: str) -> None:
    begun, spent = time.perf_counter(), time.process_time()
    detail = STAGES[stage](Paths(Path(folder)))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - spent
    parts = {name: round(took, 3) for name, took in detail.pop("parts", {}).items()}
    found = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mb": peak_megabytes(),
    }
    print(json.dumps(found | detail | {"parts": parts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
