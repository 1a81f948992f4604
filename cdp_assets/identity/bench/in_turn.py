"""Several labelled files as loads in turn, the way a warehouse lives.

What is loaded first is trained on, and resolved; each further load is mapped and
resolved on top, by the model that is there, as no run trains, or by one trained anew
where that is asked for. At the end all files are
loaded at once into another scratch warehouse, and the people have to be the same.
"""

import contextlib
import csv
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.identity.bench.declared import BenchMap, read_map
from cdp_assets.identity.bench.records import Layout, layout_of, stream_of
from cdp_assets.identity.bench.resolving import (
    Trained,
    resolve_file,
    stage_candidates,
    train_on_file,
)
from cdp_assets.identity.bench.result import BenchResult, export_clusters
from cdp_assets.identity.bench.run import GENERIC, load_and_map, score
from cdp_assets.identity.bench.truth import check_truth
from cdp_assets.identity.clock import Clock, Say
from cdp_assets.identity.rules import read_ruleset
from cdp_assets.identity.way import Way
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse


@dataclass(frozen=True)
class Load:
    """A file of records, and whose all records are once it is loaded."""

    records: Path
    truth: Path


@dataclass(frozen=True)
class Turn:
    """What came of one load."""

    load: Load
    way: Way
    result: BenchResult


@dataclass(frozen=True)
class InTurn:
    """What came of all loads, and of one load of the same files."""

    turns: list[Turn]
    differing: int
    """Records that one load of all files puts together with others."""


def bench_in_turn(
    loads: Sequence[Load],
    map_file: Path,
    *,
    ruleset: Path = GENERIC,
    out: Path,
    retrain: bool = False,
    misses: bool = False,
    say: Say = print,
) -> InTurn:
    """Load and resolve file after file, and compare each time with the truth then.

    Args:
        loads: In their order; all files are CSV, and may lack each other's columns.
        map_file: What the columns mean.
        ruleset: The rules to resolve by.
        out: Gets a folder ``load-<n>`` per load, with what ``bench`` writes.
        retrain: Train anew after each load, on all that is loaded then.
        misses: Write ``misses.csv`` too, every wrong pair and why.
        say: Told one line per step.

    Raises:
        OperatorError: A file or a declaration that cannot be used, with the remedy.
    """
    files = _read(loads, map_file)
    name, rules = files.declared.object, read_ruleset(ruleset)
    clock = Clock(say)
    turns: list[Turn] = []
    trained: Trained | None = None
    with _scratch() as connection:
        for number, load in enumerate(loads, start=1):
            files.load(connection, number, clock)
            if trained is None or retrain:
                trained = train_on_file(connection, name, rules, clock)
            else:
                stage_candidates(connection, trained)
            verdicts, way = resolve_file(
                connection, trained, clock, run=number, full=None
            )
            result = score(
                connection,
                files.declared,
                trained,
                load.truth,
                out / f"load-{number}",
                clock,
                misses=misses,
            )
            result.verdicts = verdicts
            turns.append(Turn(load, way, result))
    if trained is None:
        return InTurn([], 0)
    _resolve_at_once(files, trained, out / "at-once", clock)
    return InTurn(turns, _differing(out / f"load-{len(turns)}", out / "at-once"))


@dataclass(frozen=True)
class _Files:
    """The files, and what their columns mean."""

    loads: Sequence[Load]
    layouts: list[Layout]
    declared: BenchMap

    def load(
        self, connection: duckdb.DuckDBPyConnection, number: int, clock: Clock
    ) -> None:
        """Load one file by a declaration that knows the columns of all of them."""
        layout = self.layouts[number - 1]
        every = Layout(_columns(self.layouts), layout.delimiter, layout.encoding)
        spec = stream_of(self.declared, every)
        records = self.loads[number - 1].records
        load_and_map(connection, self.declared, spec, records, clock)


def _read(loads: Sequence[Load], map_file: Path) -> _Files:
    layouts = [layout_of(load.records) for load in loads]
    for load in loads:
        check_truth(load.truth)
    return _Files(loads, layouts, read_map(map_file, _columns(layouts)))


def _columns(layouts: list[Layout]) -> list[str]:
    return list(dict.fromkeys(name for each in layouts for name in each.columns))


def _resolve_at_once(
    files: _Files, trained: Trained, folder: Path, clock: Clock
) -> None:
    """Load all files into another warehouse, and resolve once, by the same model."""
    with _scratch() as connection:
        for number in range(1, len(files.loads) + 1):
            files.load(connection, number, clock)
        resolve_file(connection, trained, clock)
        folder.mkdir(parents=True, exist_ok=True)
        export_clusters(connection, files.declared, folder / "clusters.csv")


@contextlib.contextmanager
def _scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder,
        Warehouse(Paths(Path(folder))).writing("a bench") as connection,
    ):
        yield connection


def _differing(one: Path, other: Path) -> int:
    """How many records are together with others in one folder's clusters."""
    groups = [_groups(folder / "clusters.csv") for folder in (one, other)]
    return sum(
        groups[0].get(record) != groups[1].get(record)
        for record in groups[0] | groups[1]
    )


def _groups(file: Path) -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """Of every record whom it is together with."""
    members: dict[str, set[tuple[str, str]]] = {}
    with file.open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            record = (row["source"], row["record_id"])
            members.setdefault(row["cluster_id"], set()).add(record)
    return {record: frozenset(group) for group in members.values() for record in group}
