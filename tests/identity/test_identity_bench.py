"""A labelled file through the product's path: its map, its values, its scores."""

import csv
import itertools
import random
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner

from cdp_assets.cli import main
from cdp_assets.declarations import DeclarationError
from cdp_assets.errors import OperatorError
from cdp_assets.identity.bench.declared import read_map
from cdp_assets.identity.bench.estimation import Patterns, estimate_levels
from cdp_assets.identity.bench.macros import Macros
from cdp_assets.identity.bench.records import layout_of
from cdp_assets.identity.bench.result import BenchResult
from cdp_assets.identity.bench.run import bench
from cdp_assets.identity.bench.training import bearers
from cdp_assets.identity.bench.values import date_of, settle_national_numbers
from cdp_assets.identity.partition import Pair, partition

MAPS = Path(__file__).parent / "maps"
COLUMNS = ["source", "id", "name", "born", "mail", "phone", "town", "job"]
PEOPLE_MAP = """
object: individual
source: source
key: id
attributes:
  full_name: name
  birth_date: {column: born, format: "%Y-%m-%d"}
  email_address: mail
  telephone_number: phone
  city_name: town
other: [job]
"""


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def people(count: int, seed: int = 7) -> tuple[list[list[str]], list[list[str]]]:
    """Records of people with typos, gaps and changed orders, and whose they are."""
    pick = random.Random(seed)
    first = ["Anna", "Peter", "Maria", "John", "Lena", "Paul", "Olga", "Karl", "Ines"]
    last = ["Moravec", "Thistle", "Okafor", "Lindqvist", "Baptiste", "Yamada", "Quill"]
    towns = ["Bergen", "Leeds", "Porto", "Graz", "Lyon"]
    records, truth = [], []
    for entity in range(count):
        name = f"{pick.choice(first)} {pick.choice(last)}{entity % 23 * 'e'}"
        born = f"{pick.randint(1940, 2005)}-{pick.randint(2, 12):02}-17"
        mail = f"{name.split()[1].lower()}{pick.randint(100, 999)}@mail.example.net"
        for copy in range(pick.choice([1, 2, 3])):
            key = f"{entity}-{copy}"
            given, family = name.split()
            slip = pick.randrange(1, len(family) - 1)
            records.append(
                [
                    "ab"[copy % 2],
                    key,
                    f"{family}, {given}" if copy == 1 else name,
                    pick.choice([born, born, ""]),
                    pick.choice([mail, mail, "", "nan"]),
                    f"0043 664 {1000000 + entity * 7919}",
                    pick.choice(towns) if copy == 0 else "",
                    pick.choice(["baker", "clerk", "N/A"]),
                ]
            )
            if copy == 2:
                records[-1][2] = f"{given} {family[:slip]}{family[slip + 1 :]}"
            truth.append(["ab"[copy % 2], key, f"e{entity}"])
    return records, truth


def resolved(
    folder: Path, records: list[list[str]], truth: list[list[str]], **more: Any
) -> BenchResult:
    folder.mkdir()
    (folder / "map.yaml").write_text(PEOPLE_MAP, encoding="utf-8")
    return bench(
        write(folder / "records.csv", [COLUMNS, *records]),
        write(folder / "truth.csv", [["source", "record_id", "entity_id"], *truth]),
        folder / "map.yaml",
        out=folder / "out",
        say=lambda _: None,
        **more,
    )


def clusters(folder: Path) -> dict[tuple[str, str], str]:
    with (folder / "out" / "clusters.csv").open(encoding="utf-8") as file:
        return {
            (row["source"], row["record_id"]): row["cluster_id"]
            for row in csv.DictReader(file)
        }


def groups(folder: Path) -> set[frozenset[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for record, cluster in clusters(folder).items():
        found.setdefault(cluster, set()).add(record)
    return {frozenset(members) for members in found.values()}


def test_the_figures_are_those_of_the_clusters_written(tmp_path: Path) -> None:
    """Whoever scores clusters.csv must find what was printed."""
    records, truth = people(120)
    result = resolved(tmp_path / "a", records, truth)
    cluster = clusters(tmp_path / "a")
    entity = {(source, key): e for source, key, e in truth}
    assert set(cluster) == set(entity)
    pairs = [
        (cluster[a] == cluster[b], entity[a] == entity[b])
        for a, b in itertools.combinations(sorted(entity), 2)
    ]
    both = sum(said and true for said, true in pairs)
    assert result.quality.precision == pytest.approx(both / sum(p[0] for p in pairs))
    assert result.quality.recall == pytest.approx(both / sum(p[1] for p in pairs))
    assert result.true_pairs == sum(true for _, true in pairs)
    assert result.largest == max(map(len, groups(tmp_path / "a")))
    assert result.quality.f1 > 0.95
    assert 0.9 < result.ceiling <= 1


def test_neither_the_labels_nor_the_order_of_rows_matter(tmp_path: Path) -> None:
    """A model that saw the truth would be judged by what it was told."""
    records, truth = people(80)
    resolved(tmp_path / "a", records, truth)
    pick = random.Random(3)
    shuffled = pick.sample(records, len(records))
    other = [[*row[:2], f"e{pick.randrange(9)}"] for row in truth]
    resolved(tmp_path / "b", shuffled, other)
    assert groups(tmp_path / "a") == groups(tmp_path / "b")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_files_of_hardly_anything_are_resolved_too(tmp_path: Path, count: int) -> None:
    """Nothing can be learnt from one record; that is no reason to fail."""
    record = ["a", "1", "Ann Lee", "1980-04-05", "", "", "Leeds", ""]
    records = [record, ["b", *record[1:]]][:count] or [["a", "1", *[""] * 6]]
    result = resolved(tmp_path / "a", records, [["a", "1", "x"], ["b", "1", "x"]])
    assert result.records == len(records)
    assert result.true_pairs == 1


def test_a_household_is_no_person(tmp_path: Path) -> None:
    """Who lives together shares all but the first name, in as many pairs as one has."""
    pick = random.Random(4)
    first = [
        "Anna",
        "Peter",
        "Maria",
        "Oscar",
        "Lena",
        "Willem",
        "Olga",
        "Karl",
        "Ines",
    ]
    last = [
        f"{a}{b}" for a in ("Mor", "Tis", "Oka", "Lin") for b in ("vec", "tle", "for")
    ]
    records, truth = [], []
    for home in range(250):
        family, town = pick.choice(last), f"Town {home % 40}"
        phone = f"0043 664 {1000000 + home * 7919}"
        for person, given in enumerate(pick.sample(first, 3)):
            day = f"{pick.randint(2, 12):02}-{pick.randint(2, 28):02}"
            born = f"{pick.randint(1940, 2005)}-{day}"
            for copy in range(pick.choice([1, 2])):
                key = f"{home}-{person}-{copy}"
                date = pick.choice([born, born, ""])
                row = ["a", key, f"{given} {family}", date, "", phone, town, ""]
                records.append(row)
                truth.append(["a", key, f"e{home}-{person}"])
    result = resolved(tmp_path / "a", records, truth)
    assert result.quality.precision > 0.97
    assert result.quality.recall > 0.97


def test_a_name_in_two_alphabets_is_one_name(tmp_path: Path) -> None:
    """Family name first in one, last in the other, a patronymic in both."""
    records, truth = people(60)
    for key, name in (
        ("x1", "ВЯЗЕМСКАЯ, Ольга Петровна"),
        ("x2", "Olga Petrovna Vyazemskaya"),
    ):
        records.append([key[0], key, name, "1951-03-27", "", "", "", ""])
        truth.append([key[0], key, "olga"])
    resolved(tmp_path / "a", records, truth)
    assert frozenset({("x", "x1"), ("x", "x2")}) in groups(tmp_path / "a")


def test_companies_and_texts_are_resolved_by_their_words(tmp_path: Path) -> None:
    """Titles and authors have no birth date; a file of them is no file of people."""
    pick = random.Random(2)
    words = [
        f"{a}{b}" for a in ("tor", "mel", "ka", "quin") for b in "abcdefghijklmnop"
    ]
    rows, truth = [["src", "id", "title", "by"]], [["source", "record_id", "entity_id"]]
    for entity in range(90):
        title, by = pick.sample(words, 6), pick.sample(words, 2)
        for copy in range(2):
            kept = title if copy == 0 else [*title[1:], "extended"]
            rows.append([f"s{copy}", str(entity), " ".join(kept), " ".join(by)])
            truth.append([f"s{copy}", str(entity), str(entity)])
    (tmp_path / "map.yaml").write_text(
        "object: account\nsource: src\nkey: id\n"
        "attributes: {organization_name: title}\nother: [by]\n",
        encoding="utf-8",
    )
    told = CliRunner().invoke(
        main,
        [
            *("identity", "bench", str(write(tmp_path / "r.csv", rows))),
            *("--truth", str(write(tmp_path / "t.csv", truth))),
            *("--map", str(tmp_path / "map.yaml"), "--out", str(tmp_path / "out")),
        ],
    )
    assert told.exit_code == 0, told.output
    figures = next(line for line in told.output.splitlines() if "pairwise" in line)
    assert float(figures.split()[-1]) > 0.95


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PEOPLE_MAP.replace("source: source", "source: src"), ["line 3", "'source'"]),
        (PEOPLE_MAP.replace("full_name", "full_nam"), ["line 6", "'full_name'"]),
        (PEOPLE_MAP.replace(": town", ": twn"), ["line 10", "'town'"]),
        (
            PEOPLE_MAP.replace("mail\n", '{column: mail, format: "%d"}\n'),
            ["line 8", "only birth_date has a format"],
        ),
        (PEOPLE_MAP.replace("individual", "person"), ["line 2", "individual or"]),
        ("object: account\nsource: source\nkey: id\n", ["nothing to compare"]),
    ],
)  # fmt: skip
def test_an_impossible_map_is_refused(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    """Told with its line and what would be right, before anything is loaded."""
    (tmp_path / "map.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError) as refused:
        read_map(tmp_path / "map.yaml", COLUMNS)
    for part in ["map.yaml", *said]:
        assert part in str(refused.value)


def test_a_file_without_one_name_per_column_is_refused(tmp_path: Path) -> None:
    """Two columns of one name cannot be told apart by a map."""
    with pytest.raises(OperatorError, match="'a' stands there twice"):
        layout_of(write(tmp_path / "r.csv", [["a", "b", "a"]]))


@pytest.mark.parametrize(
    ("typed", "form", "read"),
    [
        ("1985-03-09", None, "1985-03-09"),
        ("19850309", "%Y%m%d", "1985-03-09"),
        ("9.3.1985", None, "1985-03-09"),
        ("9-Mar-85", None, "1985-03-09"),
        ("8/2/06", None, "2006-02-08"),
        ("08.02.06", None, "2006-02-08"),
        ("2/8/06", "%m/%d/%y", "2006-02-08"),
        ("2006/2/8", None, "2006-02-08"),
        ("1985-13-02", None, "1985-02-13"),
        ("1985-00-00", None, "1985-01-01"),
        ("1985", None, "1985-01-01"),
        ("1985-03", None, "1985-03-01"),
        ("1985-03-09T00:00:00", None, "1985-03-09"),
        ("ca. 1985", None, "1985-01-01"),
        ("soon", None, None),
    ],
)
def test_dates_are_read_as_far_as_they_say_something(
    typed: str, form: str | None, read: str | None
) -> None:
    """The year of a damaged date is still a year."""
    with duckdb.connect() as connection:
        connection.execute("create table t as select ?::varchar as born", [typed])
        # 25.12. cannot be read with the month first, so the day is.
        connection.execute("insert into t values ('25.12.1960')")
        date = date_of(connection, "t", "born", form)
        found = connection.execute(
            f"select ({date})::varchar from t limit 1"
        ).fetchone()
    assert found == (read,)


def test_national_numbers_are_those_of_the_country_most_of_them_fit(
    warehouse: Any,
) -> None:
    """Files without a country are common; 702-919-1300 is somebody's all the same."""
    numbers = ["702-919-1300", "(212) 555 2368", "415 555 0132", "99 1"]
    with warehouse.writing("a test") as connection:
        connection.executemany(
            "insert into reference.phone values "
            "(?, '', null, null, 'no country code and no country known', 'v')",
            [[number] for number in numbers],
        )
        settle_national_numbers(connection)
        found = dict(
            connection.execute("select raw, e164 from reference.phone").fetchall()
        )
    assert found["702-919-1300"] == "+17029191300"
    assert found["99 1"] is None


def test_the_macros_are_those_of_the_project(apply: Any) -> None:
    """Two normalisers would be two, sooner or later."""
    macros = Macros()
    cases = {
        "normalise_email": ["Ada <ADA@b.org>", "no address"],
        "normalise_address_line": ["Hauptstraße 5", "12 Main Street"],
        "clean_name": ["O'BRIEN-SMITH", "n/a"],
    }
    with duckdb.connect() as connection:
        for name, values in cases.items():
            sql = getattr(macros, name)("typed")
            ours = [
                connection.execute(
                    f"select {sql} from (select ?::varchar as typed)", [value]
                ).fetchall()[0][0]
                for value in values
            ]
            assert ours == [apply(name, value) for value in values]


def test_the_estimate_finds_what_made_the_pairs() -> None:
    """From counts alone: how many pairs belong together, and how often they agree."""
    pairs, matches = 10_000_000.0, 20_000.0
    m, u = [np.array([0.1, 0.9])] * 3, [np.array([0.98, 0.02])] * 3
    levels = np.array(list(itertools.product((0, 1), repeat=3)))
    within = np.prod([m[p][levels[:, p]] for p in range(3)], axis=0) * matches
    chance = np.prod([u[p][levels[:, p]] for p in range(3)], axis=0) * pairs
    blocked = levels.sum(axis=1) > 0
    found = estimate_levels(
        Patterns(levels[blocked], (within + chance)[blocked]),
        Patterns(levels, within + chance),
        [np.array([0.2, 0.8])] * 3,
        pairs=pairs + matches,
        records=20_000,
    )
    assert found.matches == pytest.approx(matches, rel=0.2)
    for place in range(3):
        assert found.m[place][1] == pytest.approx(0.9, abs=0.05)
        assert found.u[place][1] == pytest.approx(0.02, abs=0.002)


def test_no_lesser_agreement_weighs_more_than_the_best() -> None:
    """A level that chance never shows is rare, and says nothing for that alone."""
    levels = np.array([[level, other] for level in (0, 2) for other in (0, 1)])
    believed = [np.array([0.05, 0.05, 0.9]), np.array([0.1, 0.9])]
    counts = np.array([970_000.0, 20_000.0, 8_000.0, 2_000.0])
    patterns = Patterns(levels, counts)
    found = estimate_levels(patterns, patterns, believed, pairs=1e6, records=5_000)
    weights = np.log2(found.m[0] / found.u[0])
    assert weights[1] <= weights[2] + 1e-9
    assert np.all(found.u[0] <= 1)


@pytest.mark.parametrize("families", [0.0, 3000.0])
def test_whether_those_who_live_together_share_a_name_is_learnt(
    families: float,
) -> None:
    """Where they do, one name at one home is hardly news; where not, it is."""
    pairs, matches = 10_000_000.0, 20_000.0
    # Of a last name: different, same, different at one home, same at one home.
    strangers = np.array([0.99, 0.01, 1e-6, 1e-8]) * pairs
    strangers[2:] += families * np.array([0.2, 0.8])
    within = np.array([0.04, 0.46, 0.04, 0.46]) * matches
    levels = np.array(list(itertools.product((0, 1), (0, 1), range(4))))
    m, u = np.array([0.1, 0.9]), np.array([0.98, 0.02])

    def spread(names: Any, last: Any) -> Any:
        return names[levels[:, 0]] * names[levels[:, 1]] * last[levels[:, 2]]

    home = (levels[:, [2]] >= 2).astype(int)
    patterns = Patterns(
        np.hstack((levels, home)), spread(m, within) + spread(u, strangers)
    )
    believed = [np.array([0.1, 0.9])] * 2
    believed += [np.array([0.1, 0.9, 0.1, 0.9]), np.array([0.5, 0.5])]
    found = estimate_levels(
        patterns, patterns, believed, pairs=pairs, records=20_000, given=[0, 0, 2, 0]
    )
    weights = np.log2(found.m[2] / found.u[2])
    assert found.m[2][:2].sum() == pytest.approx(1)
    assert found.u[2][2:].sum() == pytest.approx(1)
    assert weights[1] > 5
    assert (weights[3] < 0.5) if families else (weights[3] > 3)


def test_how_rare_a_name_is_follows_from_how_many_have_one_of_their_own(
    tmp_path: Path,
) -> None:
    """Where most names are one person's, the next person hardly has one of them."""

    def shares(few: bool) -> dict[str, float]:
        names = [f"n{i}" for i in range(400)]
        if few:
            names += [f"n{i}" for i in range(400)]
        with duckdb.connect() as connection:
            connection.execute(
                "create temp table candidate_posterior "
                "(node_l bigint, node_r bigint, posterior double)"
            )
            connection.execute(
                "create temp table staged_matchable as "
                "select unnest(?) as last_name, 0 as node_id",
                [names],
            )
            return bearers(connection, "last_name", len(names), 1)

    unique, shared = shares(few=False), shares(few=True)
    assert min(unique.values()) > 0
    assert unique["n7"] == pytest.approx(0.05 / 400, rel=0.01)
    assert shared["n7"] == pytest.approx(2 / 800, abs=1e-6)


def test_a_pair_nobody_compared_counts_as_told() -> None:
    """In a large group only candidates are compared; the rest is not agreement."""
    chain = [Pair(f"r{n}", f"r{n + 1}", 3.0, True, False) for n in range(6)]
    assert len(set(partition(chain, 0.0).values())) == 1
    assert len(set(partition(chain, 0.0, unseen_weight=-6.0).values())) > 1


# What the public sets came to, less what another machine's threads may move.
FLOORS = {
    "fake_1000": (0.965, 0.97),
    "senzing_truthset": (0.895, 0.94),
    "febrl3": (0.998, 0.998),
    "febrl4": (0.998, 0.998),
    "historical_50k": (0.944, 0.95),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("fake_1000", marks=pytest.mark.slow),
        pytest.param("senzing_truthset", marks=pytest.mark.slow),
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("febrl3", "febrl4", "historical_50k")
        ),
    ],
)
def test_public_sets_keep_their_scores(
    name: str, test_data: Path, tmp_path: Path
) -> None:
    """One ruleset for all of them, and no label in any model."""
    folder = test_data / "er" / name
    result = bench(
        folder / "records.csv",
        folder / "truth.csv",
        MAPS / f"{name}.yaml",
        out=tmp_path,
        say=lambda _: None,
    )
    pairwise, b_cubed = FLOORS[name]
    assert result.quality.f1 >= pairwise
    assert result.quality.b_cubed_f1 >= b_cubed
    assert result.largest <= 40
