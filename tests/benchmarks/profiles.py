"""Reading profiles: requests per second and latency, quiet and while a wave publishes.

``python -m tests.benchmarks.profiles [--people 1000000] [--changes 1000]
[--seconds 10] [--folder FOLDER]``. People are made in SQL and published by the
product's own publication. Then 1, 2 and 4 processes read random people by id, e-mail,
phone and record, first with nothing else going on, then while another process changes
people and publishes them, again and again. Three ways of reading:

- by hand: SQLite, one connection kept open, one query by key, JSON read. The floor.
- lookup: ``publication.profile.Profiles``, kept open as a server would.
- command: what ``cdp profile KEY`` does once the program runs, the text included.

Every answer is compared with who it should be; a wrong one or an error ends the run.
"""

import argparse
import contextlib
import hashlib
import io
import json
import multiprocessing
import multiprocessing.synchronize
import os
import random
import resource
import sqlite3
import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cdp_assets.paths import Paths
from cdp_assets.publication.documents import publish_documents
from cdp_assets.publication.profile import Profiles
from cdp_assets.publication.store import store_path
from cdp_assets.warehouse import Warehouse
from tests.published import TABLES

READERS = (1, 2, 4)
# Two records a person, two addresses, four orders, an insight, a segment, two answers.
PEOPLE = """
create temp table person as
select i, 'u_' || md5(i::varchar)[:16] as id, 'crm_contact:' || i as crm,
    'shop_customer:' || i as shop, 'p' || i || '@mail.example' as email,
    '+4930' || (10000000 + i) as phone
from range($people) as t(i);
"""
ROWS = """
insert into unified.unified_individual
select id, 'First' || i, crm, 'Last' || i, shop, date '1980-01-01' + (i % 9000)::int,
    crm, 'First' || i || ' Last' || i, 2, true, '2020-01-01' from person;
insert into identity.unified_link_individual
select id, unnest([crm, shop]), 'exact', 1 from person;
insert into dmo.individual
select unnest([crm, shop]), 'First' || i || ' Last' || i, unnest(['crm', 'shop']),
    '2026-01-01' from person;
insert into dmo.contact_point_email select 'e' || i, crm, email, email from person;
insert into unified.unified_contact_point_email
select 'e' || i, id, email, email, false, 1, 1, crm, '2026-01-01' from person;
insert into dmo.contact_point_phone select 'p' || i, shop, phone from person;
insert into unified.unified_contact_point_phone
select 'p' || i, id, phone, 'mobile', 1, 1, shop, '2026-01-01' from person;
insert into unified.unified_contact_point_address
select 'a' || i, id, 'Hauptstr. ' || i, 'Berlin', '10115', null, 'DE', 1, 1, crm,
    '2026-01-01' from person;
insert into dmo.contact_point_consent
select 'consent_log:' || i || '-' || n, 'email', email, null, 'marketing', 'email',
    'opt_in', '2026-01-01', 'shop_checkout', null, null, null, null
from person cross join range(2) as r(n);
insert into dmo.sales_order
select 'shop_order:' || i || '-' || n, '#' || i, shop,
    timestamp '2026-01-01' + to_days(n::int), 'fulfilled', 'EUR', 10.50
from person cross join range(4) as r(n);
insert into insights.lifetime_value
select id, 42, '2026-01-01', 300, '{"EUR": 42}' from person;
insert into segments.membership
select 'buyers', id, '2026-01-01', null, 1 from person;
"""

Read = Callable[[int, str], str]
"""Reads who has a key; given the key's place in ``KINDS``, returns the id."""
KINDS = ("id", "email", "phone", "record")


@dataclass(frozen=True)
class Measured:
    """What readers saw together."""

    seconds: float
    """From the first to the last of them."""
    latencies: "array[float]"
    """Of each request, in seconds, ascending."""
    used: float
    """Seconds of processor, which other programs on the machine do not lengthen."""

    def row(self) -> str:
        """Requests a second; in ms the median, the 99th percentile, the worst, and
        the processor's time of one.
        """
        many = len(self.latencies)
        half, late = self.latencies[many // 2], self.latencies[int(many * 0.99)]
        worst = self.latencies[-1]
        return (
            f"{many / self.seconds:>10,.0f}{half * 1000:>9.2f}{late * 1000:>9.2f}"
            f"{worst * 1000:>9.1f}{self.used / many * 1000:>9.3f}"
        )


def by_hand(paths: Paths) -> Read:
    store = sqlite3.connect(f"{store_path(paths).as_uri()}?mode=ro", uri=True)

    def read(kind: int, key: str) -> str:
        (document,) = store.execute(
            "select document from lookup join profile using (unified_individual_id) "
            "where key_kind = ? and key = ?",
            (KINDS[kind], key),
        ).fetchone()
        return str(json.loads(document)["unified_individual_id"])

    return read


def lookup(paths: Paths) -> Read:
    profiles = Profiles(paths)

    def read(kind: int, key: str) -> str:
        found = profiles.find(key)
        return str(found["unified_individual_id"]) if found else "nobody"

    return read


def command(paths: Paths) -> Read:
    from cdp_assets.cli import main

    os.environ["CDP_DATA"] = str(paths.root)

    def read(kind: int, key: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            main.main(["profile", key], standalone_mode=False)
        return next(
            (word for word in said.getvalue().split() if word.startswith("u_")), ""
        )

    return read


WAYS = {"by hand": by_hand, "lookup": lookup, "command": command}


def key_of(person: int, kind: int) -> str:
    """The key of that kind of a person, by their number."""
    return (
        id_of(person),
        f"p{person}@mail.example",
        f"+4930{10_000_000 + person}",
        f"crm_contact:{person}",
    )[kind]


def id_of(person: int) -> str:
    return f"u_{hashlib.md5(str(person).encode()).hexdigest()[:16]}"  # noqa: S324


def reader(
    root: Path,
    way: str,
    people: int,
    seed: int,
    ready: multiprocessing.synchronize.Barrier,
    stop: multiprocessing.synchronize.Event,
    answers: "multiprocessing.Queue[tuple[float, float, float, bytes]]",
) -> None:
    """Read until told to stop; a process of its own."""
    read, rng = WAYS[way](Paths(root)), random.Random(seed)
    latencies = array("d")
    read(0, id_of(0))
    ready.wait()
    begun, used = time.time(), time.process_time()
    while not stop.is_set():
        person, kind = rng.randrange(people), rng.randrange(len(KINDS))
        at = time.perf_counter()
        found = read(kind, key_of(person, kind))
        latencies.append(time.perf_counter() - at)
        if found != id_of(person):
            raise ValueError(f"{key_of(person, kind)} led to {found}")
    used = time.process_time() - used
    answers.put((begun, time.time(), used, latencies.tobytes()))


def publisher(
    root: Path,
    people: int,
    changes: int,
    stop: multiprocessing.synchronize.Event,
    said: "multiprocessing.Queue[tuple[int, float, float]]",
) -> None:
    """Publish waves until told to stop, at least one whole; a process of its own."""
    rng, waves, took = random.Random(os.getpid()), 0, 0.0
    while not waves or not stop.is_set():
        with Warehouse(Paths(root)).writing("a wave") as connection:
            connection.execute("set enable_progress_bar = false")
            connection.execute(
                "update unified.unified_individual set first_name = 'Wave' || $wave "
                "where hash(unified_individual_id, $wave) % $people < $changes",
                {"wave": rng.random(), "people": people, "changes": changes},
            )
            begun = time.perf_counter()
            publish_documents(connection, Paths(root))
        took, waves = took + time.perf_counter() - begun, waves + 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    said.put((waves, took, used.ru_utime + used.ru_stime))


def measure(
    root: Path, way: str, people: int, readers: int, seconds: float, changes: int
) -> tuple[Measured, str]:
    """Let some processes read; with ``changes``, while waves of so many publish."""
    apart = multiprocessing.get_context("spawn")
    stop, last, ready = apart.Event(), apart.Event(), apart.Barrier(readers + 1)
    answers, said = apart.Queue(), apart.Queue()
    processes = [
        apart.Process(
            target=reader, args=(root, way, people, seed, ready, stop, answers)
        )
        for seed in range(readers)
    ]
    publishing = apart.Process(
        target=publisher, args=(root, people, changes, last, said)
    )
    for process in processes:
        process.start()
    ready.wait(timeout=120)
    if changes:
        publishing.start()
    time.sleep(seconds)
    waves = ""
    if changes:
        last.set()
        number, took, busy = said.get()
        publishing.join()
        waves = f"{number} waves, {took / number:.1f} s each, {busy / number:.1f} s cpu"
    stop.set()
    # A reader that failed puts nothing: its exit code says so.
    found = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a reader failed ({way})")
    every = array("d")
    for *_, latencies in found:
        every.frombytes(latencies)
    lasted = max(ended for _, ended, *_ in found) - min(begun for begun, *_ in found)
    used = sum(each for *_, each, _ in found)
    return Measured(lasted, array("d", sorted(every)), used), waves


def fill(paths: Paths, people: int) -> None:
    """Make the people and publish them for the first time."""
    with Warehouse(paths).writing("a benchmark") as connection:
        connection.execute(TABLES)
        connection.execute(PEOPLE, {"people": people})
        connection.execute(ROWS)
        begun = time.perf_counter()
        publish_documents(connection, paths)
    size = store_path(paths).stat().st_size
    print(
        f"{people:,} documents published in {time.perf_counter() - begun:.1f} s, "
        f"{size / people:,.0f} bytes each"
    )


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--people", type=int, default=100_000)
    asked.add_argument("--changes", type=int, default=1000, help="people a wave")
    asked.add_argument("--seconds", type=float, default=10)
    asked.add_argument("--folder", type=Path, help="default: a temporary one")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        paths = Paths(Path(folder))
        fill(paths, given.people)
        print(f"load of the machine: {os.getloadavg()[0]:.1f} of {os.cpu_count()}")
        print(f"{'way':<9}{'readers':>8}{'':<8}{'a second':>10}{'p50 ms':>9}", end="")
        print(f"{'p99 ms':>9}{'worst':>9}{'cpu ms':>9}")
        for way in WAYS:
            for readers in READERS:
                for changes in (0, given.changes):
                    found, waves = measure(
                        paths.root, way, given.people, readers, given.seconds, changes
                    )
                    busy = "wave" if changes else "quiet"
                    print(f"{way:<9}{readers:>8}  {busy:<6}{found.row()}  {waves}")


if __name__ == "__main__":
    main()
