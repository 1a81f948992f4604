"""``kill -9`` within identity resolution, which then is made again: the same people.

``python -m tests.benchmarks.identity_kill 100000 --moments 20`` makes a sample of about
that many person records, resolves everybody and changes 1,000 records (``--changes``).
Over copies of that warehouse the resolution of what changed is killed as soon as it has
said each of its named steps, while it commits, and at moments spread evenly over the
processor's seconds that it takes undisturbed; then it is made again. Every published
table must have the digest of the undisturbed one. With ``--full`` it is the resolution
of everybody that is killed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cdp_assets.paths import PROJECT, Paths
from cdp_assets.warehouse import Warehouse
from tests.benchmarks.graph import run
from tests.benchmarks.identity import STEPS, prepare
from tests.benchmarks.kill import NUMBERS, spent
from tests.identity.population import PUBLISHED

Condition = Callable[[int, str], bool]

POLL_SECONDS = 0.01
# A moment that a run did not reach, being quicker than the one before, is tried again
# by what it took.
TRIES = 3
# What a resolution says at the end of a step; ``promotion`` is said after the commit.
POINTS = {
    "nodes staged": "individual: nodes:",
    "evidence written": "individual: evidence:",
    "components found": "individual: components:",
    "staged and judged": "individual: gates:",
    "promoted": "individual: promotion:",
}
COMMITTING = "as it promotes"


def kill(home: Path, step: str, when: Condition) -> tuple[bool, float]:
    """Begin a step and kill it when asked to.

    Args:
        home: The folder with the warehouse.
        step: ``full`` or ``incremental``.
        when: Asked all the time, with the process and what it has said.

    Returns:
        Whether it was killed before it ended, and the processor's seconds it had taken.
    """
    said = home / "said.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", STEPS, step, str(home), "1"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    took = 0.0
    while process.poll() is None:
        took = max(took, spent(process.pid))
        if when(process.pid, said.read_text()):
            process.kill()
            break
        time.sleep(POLL_SECONDS)
    return process.wait() < 0, took


def left(home: Path) -> dict[str, str]:
    """One digest per published table, but for the numbers of runs.

    A run that was killed had a number too.
    """
    found = {}
    with Warehouse(Paths(home)).reading() as connection:
        for table in PUBLISHED:
            columns = connection.execute(f"describe identity.{table}").fetchall()
            names = ", ".join(name for name, *_ in columns if name not in NUMBERS)
            found[table] = str(
                connection.execute(
                    f"select count(*), sum(hash({names})) from identity.{table}"
                ).fetchall()
            )
    return found


def trial(
    start: Path, step: str, expected: dict[str, str], when: Condition
) -> tuple[bool, float, list[str]]:
    """Kill once over a copy of ``start``, resolve again, and say what differs."""
    home = start.with_name("trial")
    copy(start, home)
    killed, took = kill(home, step, when)
    run(STEPS, step, home)
    found = left(home)
    return killed, took, [name for name in expected if found[name] != expected[name]]


def copy(start: Path, home: Path) -> None:
    """The warehouse alone; the sample's files are not read any more."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for name in ("warehouse.duckdb", "as_of"):
        if (start / name).exists():
            shutil.copy(start / name, home / name)


def points(home: Path) -> dict[str, Condition]:
    """When to kill, by name."""
    log = home / "warehouse.duckdb.wal"

    def commits(_: int, said: str) -> bool:
        ready = POINTS["staged and judged"] in said
        return ready and log.exists() and log.stat().st_size > 0

    found: dict[str, Condition] = {
        name: lambda _, said, line=line: line in said  # type: ignore[misc]
        for name, line in POINTS.items()
    }
    return found | {COMMITTING: commits}


def at(seconds: float) -> Condition:
    """When so many seconds of the processor are spent."""
    return lambda process, _: spent(process) >= seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int, nargs="?", default=100_000)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    root = Path(os.environ.get("CDP_BENCHMARK") or PROJECT / "data" / "benchmark")
    home = root / f"identity-kill-{options.records}"
    start, twin = home / "start", home / "twin"
    step = "full" if options.full else "incremental"
    if not start.exists():
        prepare(Paths(start), options.records, None)
        run(STEPS, "full", start)
        run(STEPS, "changes", start, options.changes)
    copy(start, twin)
    _, took = kill(twin, step, lambda _, __: False)
    expected = left(twin)
    print(f"undisturbed: {took:.1f} s of processor", flush=True)
    failed = 0

    def tried(name: str, when: Condition) -> tuple[bool, float]:
        nonlocal failed
        killed, seconds, differs = trial(start, step, expected, when)
        failed += bool(differs)
        died = "killed" if killed else "ENDED BEFORE"
        verdict = ", ".join(differs) or "same"
        print(f"{name:<28}{died} after {seconds:6.1f} s  {verdict}", flush=True)
        return killed, seconds

    for name, when in points(home / "trial").items():
        failed += not tried(name, when)[0]
    for moment in range(options.moments):
        fraction = (moment + 0.5) / options.moments
        for _ in range(TRIES):
            killed, seconds = tried(f"{fraction:.3f}", at(fraction * took))
            if killed:
                break
            took = seconds
        failed += not killed
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
