"""Identity at several sizes: in full, of what changed, beside Splink and raw joins.

``python -m tests.benchmarks.identity 10000 100000`` makes a sample of about that many
person records for each size, without events, and builds the canonical model (not
counted). Then, each in a process of its own: everybody is resolved; plain Splink
predicts and clusters the same pairs; the joins that bring pairs together are counted
alone; 1,000 mixed changes (``--changes``) are resolved, and everybody again, which must
change nothing. With
``--crowd`` the largest size is resolved once more with 10,000 records of one phone,
50,000 of one e-mail and a chain of 1,000 links added.

``--warehouse FILE`` takes a copy of that warehouse in place of a sample. Figures go to
``identity-<records>.json`` in ``CDP_BENCHMARK`` or ``data/benchmark``.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

from cdp_assets.paths import PROJECT, Paths
from tests.benchmarks.graph import RECORDS_PER_PERSON, Figures, make_sample, run

STEPS = "tests.benchmarks.identity_steps"
# Three quarters of a sample's bytes, and nobody is known by them alone.
EVENTS = frozenset({"web_event", "email_event"})
BEFORE = ("landing", "loading", "phone numbers", "seeds", "harmonisation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--changes", type=int, default=1000, help="changed records")
    parser.add_argument("--warehouse", type=Path, help="take a copy of this one")
    parser.add_argument("--crowd", action="store_true", help="values of too many")
    options = parser.parse_args()
    home = Path(os.environ.get("CDP_BENCHMARK") or PROJECT / "data" / "benchmark")
    for records in options.records:
        paths = Paths(home / f"identity-{records}")
        prepare(paths, records, options.warehouse)
        crowd = options.crowd and records == max(options.records)
        figures = measure(paths, options.changes, crowd=crowd)
        report = home / f"identity-{records}.json"
        report.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print("\n".join(table(figures)), flush=True)
        shutil.rmtree(paths.root)


def prepare(paths: Paths, records: int, warehouse: Path | None) -> None:
    """A warehouse whose canonical model is built and whose people are not resolved."""
    shutil.rmtree(paths.root, ignore_errors=True)
    if warehouse:
        paths.root.mkdir(parents=True)
        shutil.copy(warehouse, paths.warehouse)
        return
    make_sample(paths, round(records / RECORDS_PER_PERSON), leave_out=EVENTS)
    for stage in BEFORE:
        run("tests.benchmarks.stages", stage, paths.root)


def measure(paths: Paths, changed: int, *, crowd: bool) -> Figures:
    """Every step once, over one warehouse."""
    start = paths.root / "start.duckdb"
    if crowd:
        shutil.copy(paths.warehouse, start)
    figures: Figures = {"in full": run(STEPS, "full", paths.root)}
    figures["plain Splink, same pairs"] = run(STEPS, "splink", paths.root)
    figures["raw joins"] = run(STEPS, "joins", paths.root)
    run(STEPS, "changes", paths.root, changed)
    figures["what changed"] = run(STEPS, "incremental", paths.root)
    left = run(STEPS, "digests", paths.root)
    figures["in full again"] = run(STEPS, "full", paths.root)
    again = run(STEPS, "digests", paths.root)
    timing = {"seconds", "cpu_seconds", "peak_mb"}
    figures["different"] = [
        name for name in left.keys() - timing if left[name] != again[name]
    ]
    if crowd:
        start.replace(paths.warehouse)
        run(STEPS, "crowd", paths.root)
        figures["in full, crowded"] = run(STEPS, "full", paths.root)
        figures["crowd"] = run(STEPS, "crowded", paths.root)
    return figures


def table(figures: Figures) -> list[str]:
    """The figures as text."""
    full = figures["in full"]
    lines = [
        "",
        f"{full['records']:,} records, {full['people']:,} people, "
        f"{full['evidence']:,} rows of evidence, largest person {full['largest']}",
        f"{'':<28}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}{'of full':>10}",
    ]
    for name, found in figures.items():
        if not isinstance(found, dict) or name == "crowd":
            continue
        share = found["cpu_seconds"] / full["cpu_seconds"]
        lines.append(
            f"{name:<28}{found['seconds']:>10.1f}{found['cpu_seconds']:>10.1f}"
            f"{found['peak_mb']:>10,}{share:>10.2f}"
        )
    changed = figures["what changed"]
    lines += [
        "",
        f"{'seconds per step':<28}{'in full':>10}{'changed':>10}",
        *(
            f"{step:<28}{seconds:>10.1f}{changed['parts'].get(step, 0):>10.1f}"
            for step, seconds in full["parts"].items()
        ),
        "",
        f"{changed['changed']:,} of the changes are compared, {changed['resolved']:,} "
        "records were resolved for them.",
        f"After it, resolved in full: {', '.join(figures['different'])} DIFFER"
        if figures["different"]
        else "After it, resolved in full: nothing differs.",
    ]
    if "crowd" in figures:
        crowd = figures["crowd"]
        named = ", ".join(f"{value} ({count:,})" for value, count in crowd["named"])
        lines.append(
            f"The crowd's largest person has {crowd['largest']} records; "
            f"left out and named: {named or 'nothing'}."
        )
    return lines


if __name__ == "__main__":
    main()
