"""``kill -9`` at named points and at uniform moments; then the run is made again.

``python -m tests.benchmarks.kill --moments 20 --people 40000`` makes a sample, runs it
undisturbed, and measures the processor's seconds. Then it kills ``cdp run`` over copies
of the start: at N moments spread evenly over those seconds, and at each named point as
seen from outside (files, the lock's note, the outbox). After each it runs again, and
compares tables, outbox and what the receiver got with the undisturbed run. With
``--wave`` the start is a folder with history, and what is killed is a wave of changes.
A ``--home`` where an earlier call has made start and undisturbed run is used as it is,
so that trials can go on another day (``--points`` and ``--from`` say with which).
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.benchmarks.kill_points import POINTS
from tests.benchmarks.waves import differences, drop_changes, state

POLL_SECONDS = 0.02
# The file of a home that says what the undisturbed run took.
UNDISTURBED = "undisturbed"
# What a kill may add to: a run that is killed had a number too, and the places in a
# list of changes that its transaction took are not given again.
NUMBERS = (
    "seq",
    "link_seq",
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
    """Run undisturbed and return the processor's seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(root)
    if process.wait() != 0:
        raise RuntimeError((root / "kill.log").read_text(encoding="utf-8")[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def spent(group: int) -> float:
    """Processor seconds of a process group, with those of its children that ended.

    Moments are told by these and not by the clock: on a machine with other work the
    clock's last moments come long before the run's.
    """
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which may hold spaces: state, parent, group, ...
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def kill(root: Path, when: Callable[[int], bool], *, group: bool) -> tuple[bool, float]:
    """Run until ``when``, then ``kill -9``.

    Args:
        root: The runtime folder.
        when: Asked every few milliseconds, with the run's process.
        group: Kill its children too, as a power failure would; else dbt lives on, as
            after the kernel's out-of-memory killer.

    Returns:
        Whether it was killed before it ended, and after how many seconds.
    """
    process = start(root)
    started = time.monotonic()
    while process.poll() is None and not when(process.pid):
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
    copy(base, root)
    if point in POINTS:
        killed, seconds = kill(root, lambda _: POINTS[point](root), group=False)
    else:
        killed, seconds = kill_at(float(point), base, root, total)
    run(root)
    found = differences(outcome(root), expected)
    if found:
        # To be looked at; the next trial begins in the same place.
        shutil.copytree(root, home / f"differs {point}", symlinks=True)
    return Outcome(point, round(seconds, 1), killed, found)


def kill_at(
    fraction: float, base: Path, root: Path, total: float
) -> tuple[bool, float]:
    """Kill after ``fraction`` of ``total`` seconds of processor, or of what it takes.

    The same run takes fewer seconds on a quieter machine (a tenth was seen) and would
    end before the last moments came; it is made once more then, measured by itself.
    """
    killed, seconds, took = _kill_after(fraction, root, fraction * total)
    if not killed:
        copy(base, root)
        killed, seconds, _ = _kill_after(fraction, root, fraction * took)
    return killed, seconds


def _kill_after(
    fraction: float, root: Path, processor: float
) -> tuple[bool, float, float]:
    """Kill after so many seconds of processor; also returns how many were spent."""
    took = 0.0

    def reached(process: int) -> bool:
        nonlocal took
        # Nothing is spent by a run that has just ended.
        took = max(took, spent(process))
        return took >= processor

    # Every other one takes dbt with it.
    killed, seconds = kill(root, reached, group=int(fraction * 1000) % 2 == 0)
    return killed, seconds, took


def copy(base: Path, root: Path) -> None:
    """Make ``root`` what ``base`` is."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root, symlinks=True)


def prepare(home: Path, people: int, *, wave: bool) -> Path:
    """The folder that every trial starts from a copy of."""
    base = home / "base"
    if (home / UNDISTURBED).exists():
        return base
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
    parser.add_argument("--from", type=int, default=0, dest="begin", help="moment")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = prepare(home, options.people, wave=options.wave)
        twin = home / "twin"
        if not (home / UNDISTURBED).exists():
            shutil.copytree(base, twin, symlinks=True)
            (home / UNDISTURBED).write_text(f"{run(twin):.1f}")
        total = float((home / UNDISTURBED).read_text())
        print(f"undisturbed: {total:.1f} s of processor", flush=True)
        expected = outcome(twin)
        moments = [
            f"{(n + 0.5) / options.moments:.3f}"
            for n in range(options.begin, options.moments)
        ]
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
