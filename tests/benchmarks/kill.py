"""``kill -9`` at named points and at uniform moments; then the run is made again.

``python -m tests.benchmarks.kill --moments 20 --people 40000`` makes a sample, runs it
undisturbed, and measures how long that took. Then it kills ``cdp run`` over copies of
the start: at N moments spread evenly over that time, and at each named point as seen
from outside (files, the lock's note, the outbox). After each it runs again, and
compares tables, outbox and what the receiver got with the undisturbed run. With
``--wave`` the start is a folder with history, and what is killed is a wave of changes.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cdp_assets import lock
from tests.benchmarks.waves import differences, drop_changes, state

POLL_SECONDS = 0.01
# What a kill may add to: a run that is killed had a number too, and the places in a
# list of changes that its transaction took are not given again.
NUMBERS = (
    "seq",
    "run",
    "linked_at_run",
    "born_run",
    "retired_run",
    "entered_run",
    "planned_run",
)


@dataclass(frozen=True)
class Outcome:
    """One kill: where, after how long, and what was different in the end."""

    point: str
    seconds: float
    killed: bool
    """False where the run had ended before the point came."""
    differences: list[str]


def purpose(root: Path) -> str:
    """What the warehouse is held for at this moment; empty where nobody writes."""
    writers = [each for each in lock.holders(root / "warehouse.lock") if not each.reads]
    return writers[0].purpose if writers else ""


def has_landed(root: Path) -> bool:
    return any(True for _ in root.glob("landing/*/[0-9]*")) and not purpose(root)


def is_loading(root: Path) -> bool:
    return purpose(root).startswith("loading") and log_grows(root)


def log_grows(root: Path) -> bool:
    """A transaction is being written to DuckDB's log, and is not in the file yet."""
    with contextlib.suppress(FileNotFoundError):
        return (root / "warehouse.duckdb.wal").stat().st_size > 0
    return False


def is_delivering(root: Path) -> bool:
    """A change is at its destination, or came back and no run has heard of it."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{root / 'outbox.sqlite'}?mode=ro", uri=True)
        ) as outbox:
            (under_way,) = outbox.execute(
                """
                select exists (select 1 from outbox where state = 'delivering')
                    or exists (
                        select 1 from receipt where position > (
                            select coalesce(max(last_position), 0) from landing
                        )
                    )
                """
            ).fetchone()
    except sqlite3.Error:
        return False
    return bool(under_way)


# Each is looked at from outside, so nothing in the product knows of being killed.
POINTS: dict[str, Callable[[Path], bool]] = {
    "after the landing rename": has_landed,
    "before a load commits": lambda root: purpose(root).startswith("loading"),
    "as a load commits": is_loading,
    "between dlo and dmo": lambda root: purpose(root) == "starting dbt",
    "as dbt begins": lambda root: purpose(root).startswith("dbt build of harmon"),
    "as dbt writes": lambda root: purpose(root).startswith("dbt") and log_grows(root),
    "during identity": lambda root: purpose(root) == "identity resolution",
    "as identity promotes": lambda root: (
        purpose(root) == "identity resolution" and log_grows(root)
    ),
    "after identity promoted": lambda root: purpose(root).startswith(
        "dbt build of cus"
    ),
    "as segments move": lambda root: purpose(root).startswith("segment"),
    "as changes are planned": lambda root: purpose(root).startswith("planning"),
    "during delivery": is_delivering,
    "as receipts are loaded": lambda root: purpose(root).startswith("receipts"),
}


def start(root: Path) -> subprocess.Popen[bytes]:
    """``cdp run`` in a process group of its own."""
    with (root / "kill.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cdp_assets.cli", "run"],
            env={**os.environ, "CDP_DATA": str(root)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run(root: Path) -> float:
    """Run undisturbed and return the seconds."""
    started = time.monotonic()
    process = start(root)
    if process.wait() != 0:
        raise RuntimeError((root / "kill.log").read_text(encoding="utf-8")[-3000:])
    return time.monotonic() - started


def kill(root: Path, when: Callable[[], bool], *, group: bool) -> tuple[bool, float]:
    """Run until ``when``, then ``kill -9``.

    Args:
        root: The runtime folder.
        when: Asked every few milliseconds.
        group: Kill its children too, as a power failure would; else dbt lives on, as
            after the kernel's out-of-memory killer.

    Returns:
        Whether it was killed before it ended, and after how many seconds.
    """
    process = start(root)
    started = time.monotonic()
    while process.poll() is None and not when():
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - started
    if process.poll() is not None:
        return False, seconds
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    return True, seconds


def outcome(root: Path) -> dict[str, object]:
    """The state but for the numbers of runs, and what the receiver acted on."""
    found = state(root, but=NUMBERS)
    found.pop("identity.run")
    for name in ("outbox", "receipt"):
        # A message that was at its destination when the sender died leaves again under
        # its key, and the receiver says that it has acted already (208).
        rows = cast("list[tuple[object, ...]]", found[name])
        found[name] = [
            tuple("HTTP 200" if cell == "HTTP 208" else cell for cell in row)
            for row in rows
        ]
    received = root / "outgoing" / "received.ndjson"
    lines = received.read_text(encoding="utf-8").splitlines()
    found["received"] = sorted(str(json.loads(line)["id"]) for line in lines)
    return found


def trial(
    home: Path, base: Path, expected: dict[str, object], point: str, total: float
) -> Outcome:
    """Kill once over a copy of ``base``, run again, and compare."""
    root = home / "trial"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root, symlinks=True)
    if point in POINTS:
        group = False
        killed, seconds = kill(root, lambda: POINTS[point](root), group=group)
    else:
        fraction = float(point)
        at = time.monotonic() + fraction * total
        # Every other one takes dbt with it.
        group = int(fraction * 1000) % 2 == 0
        killed, seconds = kill(root, lambda: time.monotonic() >= at, group=group)
    run(root)
    found = differences(outcome(root), expected)
    if found:
        # To be looked at; the next trial begins in the same place.
        shutil.copytree(root, home / f"differs {point}", symlinks=True)
    return Outcome(point, round(seconds, 1), killed, found)


def prepare(home: Path, people: int, *, wave: bool) -> Path:
    """The folder that every trial starts from a copy of."""
    base = home / "base"
    environment = {**os.environ, "CDP_DATA": str(base)}
    command = [sys.executable, "-m", "cdp_assets.cli", "sample", "--people"]
    subprocess.run(
        [*command, str(people)], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    drop_samples(base)
    if wave:
        run(base)
        drop_changes(base, base / "samples", seed=1)
    return base


def drop_samples(root: Path) -> None:
    """Put the samples of ``root`` into its inbox, and pin its clock."""
    from cdp_assets.paths import Paths
    from cdp_assets.terminal import deliver_samples

    with contextlib.redirect_stdout(None):
        deliver_samples(Paths(root))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--people", type=int, default=40_000)
    parser.add_argument("--points", nargs="*", default=list(POINTS))
    parser.add_argument("--wave", action="store_true")
    parser.add_argument("--home", type=Path, help="default: a temporary folder")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = prepare(home, options.people, wave=options.wave)
        twin = home / "twin"
        shutil.copytree(base, twin, symlinks=True)
        total = run(twin)
        print(f"undisturbed: {total:.1f} s", flush=True)
        expected = outcome(twin)
        moments = [f"{(n + 0.5) / options.moments:.3f}" for n in range(options.moments)]
        failed = 0
        for point in [*options.points, *moments]:
            seen = trial(home, base, expected, point, total)
            failed += bool(seen.differences)
            verdict = ", ".join(seen.differences) or "same"
            died = "killed" if seen.killed else "ENDED BEFORE"
            print(f"{point:<28}{died} at {seen.seconds:6.1f} s  {verdict}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
