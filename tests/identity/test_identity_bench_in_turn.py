"""Labelled files as loads in turn: the people afterwards are those of one load."""

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cdp_assets.cli import main
from cdp_assets.identity.bench.in_turn import Load, bench_in_turn
from cdp_assets.identity.bench.run import GENERIC
from tests.identity.test_identity_bench import (
    COLUMNS,
    MAPS,
    PEOPLE_MAP,
    clusters,
    groups,
    people,
    write,
)

TRUTH = ["source", "record_id", "entity_id"]


@pytest.fixture
def without_words(tmp_path: Path) -> Path:
    """The generic ruleset but for what is counted over all records."""
    text = GENERIC.read_text(encoding="utf-8")
    file = tmp_path / "ruleset.yaml"
    file.write_text(re.sub(r"\n.*fields: \[word.*", "", text), encoding="utf-8")
    return file


@pytest.mark.long
def test_loads_in_turn_make_the_people_of_one_load(
    tmp_path: Path, without_words: Path
) -> None:
    """By what changed alone, though the last file lacks columns and has its own order.

    And whoever a load does not touch keeps their id.
    """
    records, truth = people(45)
    order = [0, 1, 2, 5, 3, 4]
    last, few = len(records), len(records) // 8
    parts = [
        [COLUMNS, *records[: last - 2 * few]],
        [COLUMNS, *records[last - 2 * few : last - few]],
        [[row[n] for n in order] for row in [COLUMNS, *records[last - few :]]],
    ]
    (tmp_path / "map.yaml").write_text(PEOPLE_MAP, encoding="utf-8")
    loads, known = [], 0
    for number, part in enumerate(parts):
        known += len(part) - 1
        loads.append(
            Load(
                write(tmp_path / f"r{number}.csv", part),
                write(tmp_path / f"t{number}.csv", [TRUTH, *truth[:known]]),
            )
        )
    found = bench_in_turn(
        loads,
        tmp_path / "map.yaml",
        ruleset=without_words,
        out=tmp_path / "turns",
        say=lambda _: None,
    )
    assert [turn.way.full for turn in found.turns] == [True, False, False]
    loaded = [turn.result.records for turn in found.turns]
    assert loaded == [last - 2 * few, last - few, last]
    assert found.differing == 0
    for folder in ("last", "once"):
        (tmp_path / folder).mkdir()
    (tmp_path / "turns" / "load-3").rename(tmp_path / "last" / "out")
    (tmp_path / "turns" / "at-once").rename(tmp_path / "once" / "out")
    assert groups(tmp_path / "last") == groups(tmp_path / "once")
    assert found.turns[-1].result.quality.f1 > 0.9

    (tmp_path / "first").mkdir()
    (tmp_path / "turns" / "load-1").rename(tmp_path / "first" / "out")
    before, after = clusters(tmp_path / "first"), clusters(tmp_path / "last")
    same = groups(tmp_path / "first") & groups(tmp_path / "last")
    assert len(same) > 15
    for group in same:
        assert {before[record] for record in group} == {after[r] for r in group}


@pytest.mark.long
@pytest.mark.parametrize(("retrain", "least"), [(False, 0.86), (True, 0.88)])
def test_the_three_loads_of_the_senzing_truth_set(
    test_data: Path, tmp_path: Path, retrain: bool, least: float
) -> None:
    """Customers, a watchlist and references, each with the truth of its moment."""
    folder = test_data / "er" / "senzing_truthset" / "incremental_loads"
    files = []
    for number, name in enumerate(("customers", "watchlist", "reference"), start=1):
        key = folder / f"truthset-load{number}-key.csv"
        with key.open(encoding="utf-8", newline="") as text:
            rows = [
                [row["DATA_SOURCE"], row["RECORD_ID"], row["CLUSTER_ID"]]
                for row in csv.DictReader(text)
            ]
        truth = write(tmp_path / f"truth-{number}.csv", [TRUTH, *rows])
        files.append((str(folder / f"{name}.csv"), str(truth)))
    text = (MAPS / "senzing_truthset.yaml").read_text(encoding="utf-8")
    # These files have neither, and spell source and key in capitals.
    text = re.sub(r"\n.*(TAX_ID|LEI)_NUMBER.*", "", text)
    text = text.replace("source: source", "source: DATA_SOURCE")
    text = text.replace("key: record_id", "key: RECORD_ID")
    (tmp_path / "map.yaml").write_text(text, encoding="utf-8")
    (records, truth_file), *later = files
    told = CliRunner().invoke(
        main,
        [
            *("identity", "bench", records, "--truth", truth_file),
            *(part for each in later for part in ("--then", *each)),
            *("--map", str(tmp_path / "map.yaml"), "--out", str(tmp_path / "out")),
            *(["--retrain"] if retrain else []),
        ],
    )
    assert told.exit_code == 0, told.output
    assert "one load of all of them makes the same people" in told.output
    scores = [
        float(f1) for f1 in re.findall(r"pairwise .* F1 ([\d.]+) \(", told.output)
    ]
    assert len(scores) == 3
    assert min(scores) >= least
