"""Deliveries: through faults and kills, beside a dead destination, and per second.

``python -m tests.benchmarks.delivery [--changes 100000] [--kills 40]``. Three tables:

- faults: a receiver that fails at random, senders killed at named points. Counted are
  the acts of a receiver that honours keys (one per key, or the run fails) and of one
  that does not: every repetition is a duplicate there.
- isolation: five destinations at once, one of them dead, against four without it.
- speed: deliveries per second beside a bare httpx sender of the same concurrency.
"""

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from cdp_assets.activation import delivery, handover
from cdp_assets.activation.destinations.opening import open_destination
from cdp_assets.activation.dispatch import CLAIMS_PER_THREAD
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.recording import Recorder
from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse
from tests.activation.conftest import TABLES
from tests.activation.waiting import AS_OF, asked, declare, fill

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
POINTS = ("planned", "copied", "before POST", "after POST", "before receipt")
THREADS = 4
FAULT_RATE = 0.2
# Attempts are not what is measured: a change that has bad luck twelve times is none.
RETRY = {"max_attempts": 50, "base_seconds": 0.02, "cap_seconds": 0.2}


def activation(name: str = "welcome", **changes: object) -> ActivationSpec:
    hook = {"kind": "webhook", "url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"}
    return declare(
        name, destination=hook | {"timeout_seconds": 2} | changes, retry=RETRY
    )


@contextlib.contextmanager
def receiver(path: Path, rate: float = 0.0, seed: int = 1) -> Iterator[str]:
    """The address of a receiver that runs for the block."""
    command = [sys.executable, "-m", "tests.benchmarks.receiving", str(path)]
    with subprocess.Popen(
        [*command, str(rate), str(seed)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        finally:
            process.kill()


def plan(root: Path, changes: int) -> None:
    """A warehouse in which so many changes are planned, with consent for each."""
    with Warehouse(Paths(root)).writing("a benchmark") as connection:
        connection.execute(TABLES)
        connection.execute(
            """
            insert into activation.planned (
                sequence, idempotency_key, activation, segment, unified_individual_id,
                operation, cause, payload, contact_point_type, contact_point_value,
                planned_run, planned_at
            )
            select i, printf('msg_%032x', i), 'welcome', 'vip', printf('p%07d', i),
                'add', 'entered', '{"email": "p@example.test", "value": 12.5}',
                'email', printf('p%07d@example.test', i), 1, $at
            from range(1, $n + 1) as t(i)
            """,
            {"n": changes, "at": AS_OF},
        )
        connection.execute(
            """
            insert into dmo.contact_point_consent
            select 'consent_log:' || i, 'email', printf('p%07d@example.test', i),
                'marketing', 'email', 'opt_in', 'shop', timestamp '2026-05-01', null,
                null, null, null
            from range(1, $n + 1) as t(i)
            """,
            {"n": changes},
        )


def send(root: Path, point: str, number: int) -> None:
    """Hand over and deliver, and die at the ``number``-th time ``point`` is reached."""
    seen = 0

    def die(here: str) -> None:
        nonlocal seen
        seen += here == point
        if seen >= number and here == point:
            os.kill(os.getpid(), signal.SIGKILL)

    paths, spec = Paths(root), activation()
    outbox, fields = Outbox(paths.outbox), handover._copy_fields
    handover._copy_fields = lambda *pair: (die("planned"), fields(*pair))[1]  # type: ignore[assignment,func-returns-value]
    with Warehouse(paths).reading("a benchmark") as connection:
        handover.hand_over(connection, outbox)
    die("copied")
    destination = open_destination(spec, paths)
    post, record = destination.send, Recorder.record

    def posting(batch):  # type: ignore[no-untyped-def]
        die("before POST")
        replies = post(batch)
        die("after POST")
        return replies

    def recording(self, attempts):  # type: ignore[no-untyped-def]
        die("before receipt")
        record(self, attempts)

    destination.send = posting  # type: ignore[method-assign]
    Recorder.record = recording  # type: ignore[method-assign]
    result = delivery.deliver(outbox, spec, destination, at=AS_OF, budget_seconds=3000)
    print(result.status)


def through_faults(changes: int, kills: int, seed: int = 1) -> dict[str, int]:
    """Deliver through faults and kills; count what each kind of receiver did."""
    with tempfile.TemporaryDirectory() as folder:
        root, got = Path(folder) / "data", Path(folder) / "got"
        root.mkdir()
        plan(root, changes)
        killed = 0
        with receiver(got, FAULT_RATE, seed) as url:
            environ = {**os.environ, "HOOK_URL": url, "HOOK_SECRET": SECRET}
            for turn in range(kills + 1):
                point = POINTS[turn % len(POINTS)] if turn < kills else "never"
                # Early points come once a run; the others spread over the work.
                single = point in ("planned", "copied")
                number = 1 if single else max(changes // (2 * kills), 1)
                number = max(number // 40, 1) if point == "before receipt" else number
                code = subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        __spec__.name,
                        "send",
                        root,
                        point,
                        str(number),
                    ],
                    env=environ,
                    stdout=subprocess.DEVNULL,
                    check=False,
                ).returncode
                killed += code == -signal.SIGKILL
        acts = Counter(got.read_text(encoding="utf-8").split())
        states = dict(
            asked(
                Outbox(Paths(root).outbox),
                "select state, count(*) from outbox group by 1",
            )
        )
        receipts = asked(
            Outbox(Paths(root).outbox),
            "select count(*), count(distinct sequence) from receipt",
        )
    return {
        "changes": changes,
        "killed": killed,
        "delivered": states.get("delivered", 0),
        "receipts": receipts[0][0],
        "changes with a receipt": receipts[0][1],
        "acts where keys are honoured": len(acts),
        "acts where they are not": acts.total(),
        "duplicates there": acts.total() - len(acts),
        "most under way at a kill": THREADS * CLAIMS_PER_THREAD,
    }


def bare(url: str, changes: int) -> float:
    """Seconds that httpx alone takes, with as many threads and no bookkeeping."""
    body = b'{"type":"welcome.add","data":{"email":"p@example.test","value":12.5}}'
    headers = {"content-type": "application/json", "webhook-id": "x"}
    with httpx.Client(trust_env=False) as client, ThreadPoolExecutor(THREADS) as pool:
        started = time.perf_counter()
        for _ in pool.map(
            lambda _: client.post(url, content=body, headers=headers), range(changes)
        ):
            pass
        return time.perf_counter() - started


def ours(root: Path, url: str, names: list[str], dead: str | None = None) -> float:
    """Seconds until everything that waits for ``names`` is delivered, all at once."""
    paths = Paths(root)
    outbox = Outbox(paths.outbox)

    def run(name: str) -> None:
        address = "http://127.0.0.1:9/" if name == dead else url
        environ = {"HOOK_URL": address, "HOOK_SECRET": SECRET}
        delivery.deliver_activation(
            outbox,
            activation(name),
            paths,
            environ=environ,
            at=AS_OF,
            budget_seconds=60,
        )

    threads = {name: threading.Thread(target=run, args=[name]) for name in names}
    started = time.perf_counter()
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        if name != dead:
            thread.join()
    seconds = time.perf_counter() - started
    if dead is not None:
        with outbox.connect() as connection:
            connection.execute(
                "update outbox set state = 'dropped' where state <> 'delivered'"
            )
        threads[dead].join()
    return seconds


def speed(changes: int, rounds: int = 3) -> dict[str, float]:
    """Deliveries a second, ours and bare, by turns: the machine is not ours alone."""
    pairs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            fill(Outbox(Paths(root).outbox), range(changes))
            with receiver(root / "got") as url:
                bare(url, 200)
                pairs.append((bare(url, changes), ours(root, url, ["welcome"])))
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    return {
        "bare httpx a second": changes / statistics.median(b for b, _ in pairs),
        "ours a second": changes / statistics.median(o for _, o in pairs),
        "cost against bare": ratio,
    }


def isolation(changes: int) -> dict[str, float]:
    """Deliveries a second of four living destinations, without and with a dead one."""
    found = {}
    for label, dead in (("without a dead one", None), ("beside a dead one", "e")):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            names = ["a", "b", "c", "d"] + ([dead] if dead else [])
            for name in names:
                fill(Outbox(Paths(root).outbox), range(changes), activation=name)
            with receiver(root / "got") as url:
                found[label] = 4 * changes / ours(root, url, names, dead)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=40)
    chosen = parser.parse_args()
    for title, measure in (
        ("speed", lambda: speed(5_000)),
        ("isolation", lambda: isolation(2_000)),
        ("faults", lambda: through_faults(chosen.changes, chosen.kills)),
    ):
        print(f"\n{title}", flush=True)
        for name, value in measure().items():
            print(f"  {name:<34}{value:>12,.2f}".replace(".00", ""), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
