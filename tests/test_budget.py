"""Waves within a budget: a backfill of years and live data, side by side."""

import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from cdp_assets.digests import ARRIVAL, digest
from cdp_assets.paths import Paths
from cdp_assets.streams.arrivals import original_name
from cdp_assets.streams.budget import Budget, budget_of, estimated_rows, waves
from cdp_assets.streams.landing import land, landed
from cdp_assets.streams.load import load_wave
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse
from tests.conftest import STARTED_AT, Loading

Declares = Callable[..., StreamSpec]


def lines(first: int, count: int, *, day: int = 1) -> bytes:
    rows = (
        {"id": str(key), "at": f"2026-01-{day:02}T00:00:00Z", "count": key}
        for key in range(first, first + count)
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def names(files: list[Path]) -> list[str]:
    return [original_name(path.name).removesuffix(".ndjson") for path in files]


def fill(paths: Paths, files: int, rows: int = 10) -> None:
    for number in range(files):
        land(paths, "thing", f"{number}.ndjson", lines(number * rows, rows))


def split(paths: Paths, spec: StreamSpec, budget: Budget) -> list[list[str]]:
    return [names(wave) for wave in waves(spec, landed(paths, "thing"), budget)]


def test_a_wave_takes_the_newest_files_beside_the_oldest(
    paths: Paths, thing: Declares
) -> None:
    """Oldest first alone would keep today waiting until the years are in."""
    fill(paths, 10)

    found = split(paths, thing(), Budget(rows=40))

    assert found[0] == ["0", "1", "8", "9"]
    assert found[1] == ["2", "3", "6", "7"]
    assert sorted(chain(*found)) == [str(n) for n in range(10)]


@pytest.mark.parametrize(
    "changes", [{"modified_at": None}, {"refresh_mode": "full_refresh"}]
)
def test_what_counts_by_arrival_is_taken_strictly_in_order(
    paths: Paths, thing: Declares, changes: dict[str, str | None]
) -> None:
    fill(paths, 6)

    assert split(paths, thing(**changes), Budget(rows=40)) == [
        ["0", "1", "2", "3"],
        ["4", "5"],
    ]


@pytest.mark.parametrize("budget", [Budget(bytes=1), Budget(rows=1), Budget(files=1)])
def test_a_file_larger_than_the_budget_is_taken_alone(
    paths: Paths, thing: Declares, budget: Budget
) -> None:
    """It cannot be split, and would otherwise wait for ever."""
    fill(paths, 3)

    found = split(paths, thing(modified_at=None), budget)

    assert found == [["0"], ["1"], ["2"]]


def test_rows_are_estimated_without_reading_the_file(
    paths: Paths, thing: Declares
) -> None:
    big = land(paths, "thing", "big.ndjson", lines(0, 50_000))
    known = paths.root / "known.parquet"
    parquet.write_table(pa.table({"id": list(range(1234))}), known)

    estimate = estimated_rows(thing(), big, big.stat().st_size)

    assert 48_000 < estimate < 55_000
    assert estimated_rows(thing(), known, known.stat().st_size) == 1234


def test_a_damaged_parquet_file_is_for_the_reader_to_judge(
    paths: Paths, thing: Declares
) -> None:
    broken = land(paths, "thing", "broken.parquet", b"PAR1 and no more")

    assert estimated_rows(thing(), broken, 16) == 0


def test_live_rows_are_in_after_the_first_wave_of_a_backfill(
    loading: Loading, thing: Declares, tmp_path: Path
) -> None:
    spec, budget = thing(), Budget(rows=2_000)
    for number in range(40):
        # Years of the same 500 records, later files with later versions.
        content = lines(number % 5 * 100, 100, day=number // 2 + 1)
        land(loading.paths, "thing", f"history-{number}.ndjson", content)
    land(loading.paths, "thing", "live.ndjson", lines(10_000, 50, day=28))

    _, left = load_wave(
        loading.connection, loading.paths, spec, started_at=STARTED_AT, budget=budget
    )

    live = "select count(*) from dlo.thing where id::integer >= 10000"
    assert left > 0
    assert loading.rows(live) == [(50,)]
    while left:
        _, left = load_wave(
            loading.connection,
            loading.paths,
            spec,
            started_at=STARTED_AT,
            budget=budget,
        )
    assert loading.rows("select count(*) > 2 from ops.load") == [(True,)]
    once = Loading(Paths(tmp_path / "once"), loading.connection)
    with Warehouse(once.paths).writing("a test") as once.connection:
        for path in landed(loading.paths, "thing"):
            land(once.paths, "thing", original_name(path.name), path)
        once.load(spec)
        assert once.rows("select count(*) from ops.load") == [(1,)]
        whole = digest(once.connection, "dlo.thing", ARRIVAL)
    assert digest(loading.connection, "dlo.thing", ARRIVAL) == whole


def test_a_stream_s_own_budget_stands_over_the_environment_s(
    thing: Declares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_WAVE_ROWS", "1000")
    monkeypatch.setenv("CDP_WAVE_BYTES", "5000")

    assert budget_of(thing()) == Budget(bytes=5000, rows=1000)
    assert budget_of(thing(wave={"rows": 7})) == Budget(bytes=5000, rows=7)


def test_a_budget_that_is_no_number_is_refused_by_name(
    thing: Declares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_WAVE_ROWS", "many")

    with pytest.raises(ValueError, match="CDP_WAVE_ROWS: 'many' is no positive whole"):
        budget_of(thing())


def test_shipped_streams_have_a_budget() -> None:
    assert all(budget_of(spec).rows > 0 for spec in load_streams().values())
