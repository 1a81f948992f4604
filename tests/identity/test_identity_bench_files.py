"""Labelled files as strangers write them: their encodings, keys, columns and truths."""

import csv
import itertools
import random
from pathlib import Path

import pytest

from cdp_assets.errors import OperatorError
from cdp_assets.identity.bench.records import layout_of
from cdp_assets.identity.bench.report import render
from cdp_assets.identity.bench.result import BenchResult
from cdp_assets.identity.bench.run import bench
from cdp_assets.identity.bench.truth import check_truth

PEOPLE = "attributes: {first_name: first, last_name: last, email_address: mail}\n"
HEADER = ["source", "id", "first", "last", "mail"]
ROWS = [
    [source, f"é{n}", first, last, f"{first}{n}@mail.example.net"]
    for n, (first, last) in enumerate(
        itertools.product(("Renée", "Jörg", "Inês"), ("Moravec", "Thistle", "Okafor"))
    )
    for source in "ab"
]
LABELS = [[row[0], row[1], f"e{row[1]}"] for row in ROWS]


def written(
    path: Path, rows: list[list[str]], encoding: str = "utf-8", delimiter: str = ","
) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def scored(folder: Path, records: Path, truth: Path, said: str) -> BenchResult:
    (folder / "map.yaml").write_text(
        "object: individual\nsource: source\nkey: id\n" + said, encoding="utf-8"
    )
    return bench(
        records, truth, folder / "map.yaml", out=folder / "out", say=lambda _: None
    )


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8-sig", ";"), ("latin-1", ","), ("utf-16", "\t")],
)
def test_records_and_truth_are_read_however_they_are_written(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    """The truth comes from the same program as the records, and as it pleases."""
    truth = [["entity_id", "record_id", "source"], *(row[::-1] for row in LABELS)]
    result = scored(
        tmp_path,
        written(tmp_path / "r.csv", [HEADER, *ROWS], encoding, delimiter),
        written(tmp_path / "t.csv", truth, encoding, delimiter),
        PEOPLE,
    )
    assert result.entities == len(ROWS) // 2
    assert result.quality.recall == 1
    assert result.quality.precision == 1


def test_a_columns_name_may_hold_breaks_and_other_separators(tmp_path: Path) -> None:
    """The header is CSV as well."""
    (tmp_path / "r.csv").write_text('a,"b;c;d;e","the\ntown"\n', encoding="utf-8")
    assert layout_of(tmp_path / "r.csv").columns == ["a", "b;c;d;e", "the\ntown"]


def test_bytes_in_no_known_encoding_are_refused(tmp_path: Path) -> None:
    """0x81 is no character of Windows-1252, and none of UTF-8 by itself."""
    (tmp_path / "r.csv").write_bytes(b"source,id\na,\x81\n")
    with pytest.raises(OperatorError, match="save it as UTF-8"):
        layout_of(tmp_path / "r.csv")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["a", "1", ""], "line 3: no entity_id"),
        (["a", "1", "y"], "line 3: record '1' of source 'a' belongs to another"),
        (["a", "1"], "line 3: 2 values, expected 3"),
    ],
)
def test_a_truth_that_says_no_one_entity_is_refused(
    tmp_path: Path, row: list[str], said: str
) -> None:
    """Whatever were taken, the scores would be of something else."""
    rows = [["source", "record_id", "entity_id"], ["a", "1", "x"], row]
    with pytest.raises(OperatorError, match=said):
        check_truth(written(tmp_path / "t.csv", rows))


def test_a_truth_of_another_file_is_refused_and_gaps_are_told(tmp_path: Path) -> None:
    """Recall 0 of a truth that means other records would be read as our failure."""
    records = written(tmp_path / "r.csv", [HEADER, *ROWS])
    names = ["source", "record_id", "entity_id"]
    other = [[source, f"x{key}", entity] for source, key, entity in LABELS]
    truth = written(tmp_path / "other.csv", [names, *other])
    with pytest.raises(
        OperatorError, match=f"none of its {len(other)} rows names a rec"
    ):
        scored(tmp_path, records, truth, PEOPLE)
    truth = written(tmp_path / "some.csv", [names, *LABELS[3:], other[0]])
    result = scored(tmp_path, records, truth, PEOPLE)
    assert (result.unknown, result.unlabelled) == (1, 3)
    told = "\n".join(render(result))
    assert "rows of the truth that name no record: 1" in told
    assert "rows of the file that the truth does not name: 3" in told


def test_what_is_refused_says_where_and_why(tmp_path: Path) -> None:
    """In the file's own words, not in those of the stream made for it."""
    truth = written(tmp_path / "t.csv", [["source", "record_id", "entity_id"], *LABELS])
    none = [["", *row[1:]] for row in ROWS]
    with pytest.raises(OperatorError, match="line 2: 'source': the key is missing"):
        scored(tmp_path, written(tmp_path / "r.csv", [HEADER, *none]), truth, PEOPLE)
    (tmp_path / "nul.csv").write_bytes(b"source,id,first,last,mail\na,1,A\0n,Lee,\n")
    with pytest.raises(OperatorError, match="look for NUL bytes"):
        scored(tmp_path, tmp_path / "nul.csv", truth, PEOPLE)
    some = [*ROWS, ["c", "", "Ann", "Lee", ""]]
    result = scored(
        tmp_path, written(tmp_path / "r.csv", [HEADER, *some]), truth, PEOPLE
    )
    assert result.refused == 1
    assert result.refusal == f"line {len(ROWS) + 2}: 'id': the key is missing"


def test_one_attribute_alone_links_those_who_share_it(tmp_path: Path) -> None:
    """Nothing tells chance from sameness then; equal addresses are what they seem."""
    alone = [["a", "x", "", "", "nobody@mail.example.net"]]
    result = scored(
        tmp_path,
        written(tmp_path / "r.csv", [HEADER, *ROWS, *alone]),
        written(tmp_path / "t.csv", [["source", "record_id", "entity_id"], *LABELS]),
        "attributes: {email_address: mail}\n",
    )
    assert result.quality.f1 == 1


def test_one_attribute_that_all_share_links_nobody(tmp_path: Path) -> None:
    """A city is no person."""
    rows = [[*row[:4], "Leeds"] for row in ROWS]
    result = scored(
        tmp_path,
        written(tmp_path / "r.csv", [HEADER, *rows]),
        written(tmp_path / "t.csv", [["source", "record_id", "entity_id"], *LABELS]),
        "attributes: {city_name: mail}\n",
    )
    assert result.largest <= 2


def test_columns_whose_names_differ_in_signs_are_two(tmp_path: Path) -> None:
    """「著者」 and 「題名」 have no letter that a column of SQL could keep."""
    words = [f"{a}{b}o" for a in ("mor", "tis", "oka", "lin", "quay") for b in "bdfgkm"]
    pairs = [(words[n // 3], words[n * 7 % 30 - n // 30]) for n in range(90)]
    rows = [
        [source, f"{by} {title}", by, title] for by, title in pairs for source in "ab"
    ]
    labels = [[row[0], row[1], row[1]] for row in rows]
    result = scored(
        tmp_path,
        written(tmp_path / "r.csv", [["source", "id", "著者", "題名"], *rows]),
        written(tmp_path / "t.csv", [["source", "record_id", "entity_id"], *labels]),
        "other: [著者, 題名]\n",
    )
    assert len(set(pairs)) == 90
    assert result.quality.f1 > 0.95


def test_what_another_column_says_already_counts_once(tmp_path: Path) -> None:
    """An age is the birth year again; two strangers of one age are two all the same."""
    pick = random.Random(5)
    parts = ["mor", "tis", "oka", "lin", "quay", "bel", "dun", "fra", "gor", "hul"]
    rows = []
    for n in range(300):
        first = pick.choice(["Anna", "Peter", "Maria", "Oscar", "Lena", "Karl"])
        last, year = "".join(pick.choices(parts, k=3)), pick.randint(1950, 2000)
        for source in "ab"[: pick.choice([1, 2])]:
            rows.append([source, str(n), first, last, str(2024 - year), str(year)])
    labels = [[row[0], row[1], row[1]] for row in rows]
    result = scored(
        tmp_path,
        written(tmp_path / "r.csv", [[*HEADER[:4], "age", "born"], *rows]),
        written(tmp_path / "t.csv", [["source", "record_id", "entity_id"], *labels]),
        "attributes: {first_name: first, last_name: last}\nother: [age, born]\n",
    )
    assert result.quality.precision > 0.95
    assert result.quality.recall > 0.95
