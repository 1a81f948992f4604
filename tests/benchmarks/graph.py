"""The whole graph at several sizes, stage by stage, beside a hand-written floor.

``python -m tests.benchmarks.graph 10000 100000`` makes a sample of about that many
person records for each size (not counted), runs every stage in a process of its own,
runs the floor over the same files, compares the digests of the tables both make, and
prints seconds and peak memory. Then a wave of 1,000 changed records (``--wave``) goes
through every stage again: what it costs to keep up. The figures also go to
``benchmark-<records>.json`` in the benchmark's folder, which is ``CDP_BENCHMARK`` or
``data/benchmark``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.paths import PROJECT, Paths
from cdp_assets.runs import parse_instant, pin_as_of
from tests.benchmarks import floor
from tests.benchmarks.stages import STAGES
from tests.changes import land_wave

# Person records per person of the samples, 2.29 at any size.
RECORDS_PER_PERSON = 2.29

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--wave", type=int, default=1000, help="changed records")
    parser.add_argument("--keep", action="store_true", help="keep the warehouses")
    options = parser.parse_args()
    home = Path(os.environ.get("CDP_BENCHMARK") or PROJECT / "data" / "benchmark")
    for records in options.records:
        figures = measure(home, records, options.wave)
        report = home / f"benchmark-{records}.json"
        report.write_text(json.dumps(figures, indent=1) + "\n")
        print("\n".join(table(figures)), flush=True)
        if not options.keep:
            shutil.rmtree(home / str(records))


def measure(home: Path, records: int, changed: int) -> Figures:
    """Everything at one size, then a wave of changed records."""
    paths = Paths(home / str(records))
    shutil.rmtree(paths.root, ignore_errors=True)
    manifest = make_sample(paths, round(records / RECORDS_PER_PERSON))
    figures: Figures = {
        "person_records": manifest["person_records"],
        "people": manifest["people"],
        "rows_in_files": sum(manifest["records"].values()),
        "duckdb": duckdb.__version__,
        "processors": os.cpu_count(),
    }
    figures["stages"] = run_stages(paths, f"{records:,} records")
    figures["floor"] = run("tests.benchmarks.floor", paths.samples, paths.root)
    figures["sent"] = make_wave(paths, spread(changed, manifest["records"]))
    figures["wave"] = run_stages(paths, f"a wave on {records:,} records")
    return figures


def run_stages(paths: Paths, label: str) -> Figures:
    """Every stage in a process of its own."""
    figures = {}
    for stage in STAGES:
        print(f"{label}: {stage} …", file=sys.stderr, flush=True)
        figures[stage] = run("tests.benchmarks.stages", stage, paths.root)
    return figures


def make_wave(paths: Paths, records: dict[str, int]) -> dict[str, int]:
    """Land changed records, in a process of its own: its memory is not a stage's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        return other.submit(land_wave, paths, 1, records, seed=1).result()


def spread(changed: int, rows: dict[str, int]) -> dict[str, int]:
    """So many records over the streams, in proportion to their rows, one at least."""
    total = sum(rows.values())
    return {name: max(changed * count // total, 1) for name, count in rows.items()}


def make_sample(
    paths: Paths, people: int, *, leave_out: frozenset[str] = frozenset()
) -> Figures:
    """The files of one size, in the inbox, and the clock pinned to their instant.

    Streams that are left out are taken from the disk, and stay without rows.
    """
    made = (
        "from pathlib import Path; import sys; "
        "from cdp_assets.samples.generate import generate; "
        "generate(Path(sys.argv[1]), people=int(sys.argv[2]))"
    )
    paths.root.mkdir(parents=True)
    command = [sys.executable, "-c", made, str(paths.samples), str(people)]
    # DuckDB draws progress bars for a command given as text.
    subprocess.run(command, check=True, cwd=PROJECT, stdout=subprocess.DEVNULL)
    manifest = json.loads((paths.samples / "manifest.json").read_text())
    for stream in manifest["records"]:
        if stream in leave_out:
            shutil.rmtree(paths.samples / stream)
            continue
        folder = paths.inbox / stream
        folder.mkdir(parents=True)
        for file in (paths.samples / stream).iterdir():
            (folder / file.name).hardlink_to(file)
    pin_as_of(paths, parse_instant(manifest["as_of"]))
    return dict(manifest)


def run(module: str, *arguments: object) -> Figures:
    """Run a module in its own process; it prints JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{module} {arguments[0]} failed")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(figures: Figures) -> list[str]:
    """The figures as text."""
    stages, script = figures["stages"], figures["floor"]
    total = sum(stage["seconds"] for stage in stages.values())
    lines = [
        "",
        f"{figures['person_records']:,} person records "
        f"of {figures['people']:,} people, "
        f"{figures['rows_in_files']:,} rows in files; "
        f"{figures['processors']} processors, DuckDB {figures['duckdb']}",
        "",
        *stage_lines(stages, "the whole graph"),
        "",
        f"A wave of {sum(figures['sent'].values()):,} changed records:",
        *stage_lines(figures["wave"], "the whole wave"),
    ]
    cpu = sum(stage["cpu_seconds"] for stage in stages.values())
    lines += [
        "",
        f"{'the floor, same digests':<28}{'graph s':>12}{'floor s':>10}{'ratio':>8}",
    ]
    graph = seconds_of_tables(stages)
    for layer in ("dlo", "dmo", "unified", "insights"):
        ours = sum(graph[name] for name in floor.TABLES if name.startswith(layer))
        least = sum(script["parts"][n] for n in floor.TABLES if n.startswith(layer))
        lines.append(f"{layer:<28}{ours:>12.1f}{least:>10.1f}{ours / least:>8.1f}")
    ours = sum(graph[name] for name in floor.TABLES)
    lines.append(
        f"{'all of its tables':<28}{ours:>12.1f}{script['seconds']:>10.1f}"
        f"{ours / script['seconds']:>8.1f}"
    )
    lines.append(
        f"The whole graph takes {total / script['seconds']:.1f} times the floor's "
        f"seconds and {cpu / script['cpu_seconds']:.1f} times its CPU; the floor does "
        "none of identity, delivery, tests and publication. "
        f"Its peak is {script['peak_mb']:,} MB."
    )
    for name, stage in stages.items():
        if stage.get("failed"):
            lines.append(f"{name}: {', '.join(stage['failed'])} FAILED")
    lines.append(
        f"Digests: {', '.join(script['different'])} DIFFER"
        if script["different"]
        else f"Digests: all {len(floor.TABLES)} tables are the same."
    )
    return lines


def stage_lines(stages: Figures, everything: str) -> list[str]:
    """A line per stage, and one for all of them."""
    total = sum(stage["seconds"] for stage in stages.values())
    lines = [
        f"{'stage':<28}{'rows':>12}{'seconds':>10}{'CPU s':>10}"
        f"{'share':>8}{'peak MB':>10}",
    ]
    for name, stage in stages.items():
        rows = f"{stage['rows']:,}" if "rows" in stage else ""
        lines.append(
            f"{name:<28}{rows:>12}{stage['seconds']:>10.1f}"
            f"{stage['cpu_seconds']:>10.1f}"
            f"{stage['seconds'] / total:>8.0%}{stage['peak_mb']:>10,}"
        )
    peak = max(stage["peak_mb"] for stage in stages.values())
    cpu = sum(stage["cpu_seconds"] for stage in stages.values())
    return [
        *lines,
        f"{everything:<28}{'':>12}{total:>10.1f}{cpu:>10.1f}{'':>8}{peak:>10,}",
    ]


def seconds_of_tables(stages: Figures) -> dict[str, float]:
    """What the graph spent on each of the floor's tables."""
    dbt = stages["harmonisation"]["parts"] | stages["profiles and insights"]["parts"]
    return dbt | {
        f"dlo.{stream}": seconds
        for stream, seconds in stages["loading"]["parts"].items()
    }


if __name__ == "__main__":
    main()
