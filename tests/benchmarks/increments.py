"""Waves of random changes, kept up by increments, beside building it all anew.

``python -m tests.benchmarks.increments --people 100000 --waves 30`` makes a sample,
loads and harmonises it, then sends wave after wave of edits, new records, deletes,
stale versions and erasures in every stream, with an increment after each. At the end,
and after every tenth wave, a copy is built with ``--full-refresh``: every table of the
canonical model must have the same digest. Printed are the seconds of both.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

import duckdb

from cdp_assets.digests import digests
from cdp_assets.paths import PROJECT, Paths
from cdp_assets.samples.generate import generate
from cdp_assets.streams.landing import land
from cdp_assets.streams.reference import refresh_phones
from cdp_assets.warehouse import Warehouse
from tests.changes import load_everything, make_wave, sources
from tests.harmonising import Dbt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--waves", type=int, default=30)
    parser.add_argument("--records", type=int, default=60, help="per stream and wave")
    options = parser.parse_args()
    home = Path(os.environ.get("CDP_BENCHMARK") or PROJECT / "data" / "benchmark")
    paths = Paths(home / f"increments-{options.people}")
    shutil.rmtree(paths.root, ignore_errors=True)
    paths.root.mkdir(parents=True)
    dbt = Dbt(paths.root / "dbt")
    _load_sample(paths, options.people)
    print(f"first build: {_harmonise(paths, dbt):.1f} s", flush=True)
    different: set[str] = set()
    for number in range(1, options.waves + 1):
        wave = make_wave(paths, number, options.records, seed=1)
        took = _harmonise(paths, dbt)
        print(
            f"wave {number}: {sum(wave.sent.values()):,} records sent, "
            f"{wave.changed:,} rows changed, increment {took:.1f} s",
            flush=True,
        )
        if number % 10 == 0 or number == options.waves:
            different |= _compare(paths, dbt)
    shutil.rmtree(paths.root)
    sys.exit(f"{', '.join(sorted(different))} DIFFER" if different else 0)


def _load_sample(paths: Paths, people: int) -> None:
    generate(paths.samples, people=people)
    for name in sources():
        for file in sorted((paths.samples / name).iterdir()):
            land(paths, name, file.name, file)
    shutil.rmtree(paths.samples)
    rows = load_everything(paths)
    print(f"{people:,} people: {rows:,} rows loaded", flush=True)


def _harmonise(paths: Paths, dbt: Dbt, *arguments: str) -> float:
    begun = time.perf_counter()
    with Warehouse(paths).writing("a benchmark") as connection:
        refresh_phones(connection)
    dbt.build(paths, *arguments)
    return time.perf_counter() - begun


def _compare(paths: Paths, dbt: Dbt) -> set[str]:
    """The tables that a full refresh of a copy makes otherwise."""
    full = Paths(paths.root / "full")
    full.root.mkdir()
    shutil.copy(paths.warehouse, full.warehouse)
    took = _harmonise(full, dbt, "--full-refresh")
    ours, theirs = _digests(paths), _digests(full)
    shutil.rmtree(full.root)
    different = {name for name in ours if ours[name] != theirs[name]}
    verdict = ", ".join(sorted(different)) if different else "none"
    print(
        f"full refresh {took:.1f} s: of {len(ours)} tables differ: {verdict}",
        flush=True,
    )
    return different


def _digests(paths: Paths) -> dict[str, str]:
    with duckdb.connect(str(paths.warehouse), read_only=True) as connection:
        return digests(connection, ["dmo"])


if __name__ == "__main__":
    main()
