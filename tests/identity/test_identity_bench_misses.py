"""What a bench writes beside its clusters: intervals, a curve, every wrong pair."""

import csv
import itertools
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cdp_assets.cli import main
from cdp_assets.identity.compared_records import stage_compared
from cdp_assets.identity.in_short import PairSaid, why_apart, why_together
from cdp_assets.identity.judged_pairs import judge_pairs
from cdp_assets.identity.rules import read_ruleset
from cdp_assets.identity.scoring import open_scorer
from cdp_assets.identity.why_not import why_not
from tests.identity.population import populate
from tests.identity.test_identity_bench import COLUMNS, PEOPLE_MAP, people, write


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A bench of a file in which namesakes share a telephone, and its output."""
    folder = tmp_path_factory.mktemp("bench")
    records, truth = people(120)
    # Two who are told apart by the truth alone, one who is known by nothing.
    records += [
        ["a", "twin-1", "Una Quillfeather", "1971-03-17", "", "", "Leeds", ""],
        ["b", "twin-2", "Una Quillfeather", "1971-03-17", "", "", "Leeds", ""],
        ["a", "lost-1", "Ida Brandvold", "1950-05-17", "", "", "", ""],
        ["b", "lost-2", "Wu Xiang", "", "", "", "", ""],
    ]
    truth += [["a", "twin-1", "t1"], ["b", "twin-2", "t2"]]
    truth += [["a", "lost-1", "l"], ["b", "lost-2", "l"], ["b", "never loaded", "l"]]
    (folder / "map.yaml").write_text(PEOPLE_MAP, encoding="utf-8")
    told = CliRunner().invoke(
        main,
        [
            *("identity", "bench"),
            str(write(folder / "records.csv", [COLUMNS, *records])),
            "--truth",
            str(
                write(
                    folder / "truth.csv",
                    [["source", "record_id", "entity_id"], *truth],
                )
            ),
            *("--map", str(folder / "map.yaml")),
            *("--out", str(folder / "out"), "--misses"),
        ],
    )
    assert told.exit_code == 0, told.output
    return folder, told.output


def test_intervals_hold_the_figures_that_are_printed(
    scored: tuple[Path, str],
) -> None:
    folder, told = scored
    found = {row["measure"]: row for row in rows(folder / "out" / "scores.csv")}
    assert list(found) == [
        f"{kind}_{name}"
        for kind in ("pairwise", "b_cubed")
        for name in ("precision", "recall", "f1")
    ]
    printed = next(line for line in told.splitlines() if line.startswith("pairwise "))
    for name, figure in zip(
        ("precision", "recall", "f1"), printed.split()[1:], strict=True
    ):
        row = found[f"pairwise_{name}"]
        assert float(figure) == pytest.approx(float(row["value"]), abs=1e-4)
    for row in found.values():
        low, value, high = (float(row[name]) for name in ("low", "value", "high"))
        assert 0 <= low < value < high <= 1


def test_the_curve_goes_through_the_clusters_at_the_weight_in_force(
    scored: tuple[Path, str],
) -> None:
    folder, told = scored
    points = rows(folder / "out" / "curve.csv")
    assert [float(point["link_weight"]) for point in points] == list(range(21))
    (recall,) = (
        float(row["value"])
        for row in rows(folder / "out" / "scores.csv")
        if row["measure"] == "pairwise_recall"
    )
    assert float(points[0]["recall"]) == pytest.approx(recall, abs=1e-5)
    assert float(points[-1]["recall"]) < recall
    assert "in force" in told


def test_every_wrong_pair_is_written_once_with_its_why(
    scored: tuple[Path, str],
) -> None:
    """Counted here from clusters and truth, pair by pair."""
    folder, told = scored
    cluster = {
        (row["source"], row["record_id"]): row["cluster_id"]
        for row in rows(folder / "out" / "clusters.csv")
    }
    entity = {
        (row["source"], row["record_id"]): row["entity_id"]
        for row in rows(folder / "truth.csv")
    }
    expected = {
        frozenset((a, b)): "false merge" if entity[a] != entity[b] else "missed"
        for a, b in itertools.combinations(cluster, 2)
        if (cluster[a] == cluster[b]) != (entity[a] == entity[b])
    }
    misses = rows(folder / "out" / "misses.csv")
    found = {
        frozenset(
            {
                (row["source_l"], row["record_id_l"]),
                (row["source_r"], row["record_id_r"]),
            }
        ): row
        for row in misses
    }
    assert len(found) == len(misses)
    assert {pair: row["kind"] for pair, row in found.items()} == expected
    twins = found[frozenset({("a", "twin-1"), ("b", "twin-2")})]
    assert twins["why"].startswith(f"the model gives {twins['weight']}, which links (")
    lost = found[frozenset({("a", "lost-1"), ("b", "lost-2")})]
    assert lost["compared"] == "not compared"
    assert "no blocking key brings them together" in lost["why"]
    missed = sum(kind == "missed" for kind in expected.values())
    assert (
        f"{len(expected) - missed:,} pairs are wrongly one, {missed + 2:,} are missed "
        f"(2 for want of a record); misses.csv says why of {len(expected):,}"
    ) in told
    text = (folder / "out" / "misses.csv").read_text(encoding="utf-8")
    assert "quillfeather" not in text.lower()


def test_of_many_pairs_is_said_what_why_not_says_of_each(scene: Any) -> None:
    """Caps count everybody there and are looked up here: the sentence is one."""
    populate(scene.connection, 800)
    scene.resolve()
    connection, ruleset = scene.connection, read_ruleset()
    model = stage_compared(connection, "individual", ruleset, None)
    assert model is not None
    connection.execute(
        """
        create temp table apart as
        select node_l, node_r, node_l in (
            select node_l from identity.evidence as known
            where known.node_r = near.node_r
        ) as met
        from (
            select l.node_id as node_l, r.node_id as node_r, l.record as a,
                r.record as b
            from staged_matchable as l
            inner join staged_matchable as r
                on l.node_id < r.node_id and l.last_name = r.last_name
        ) as near
        inner join identity.unified_link_individual as one on one.record = a
        inner join identity.unified_link_individual as two on two.record = b
        where one.unified_individual_id <> two.unified_individual_id;
        create temp table asked as
        select node_l, node_r from apart
        qualify row_number() over (partition by met order by hash(node_l, node_r)) < 4
        """
    )
    record = dict(scene.rows("select node_id, record from identity.node"))
    with open_scorer(connection, model) as scorer:
        judged = list(
            judge_pairs(connection, "individual", ruleset.individual, scorer, "asked")
        )
    assert len(judged) == 6
    kinds = set()
    for node_l, node_r, said in judged:
        short = why_not(connection, record[node_l], record[node_r]).in_short
        assert why_apart(said, model) == short
        kinds.add(short.split(":")[0].split(" +")[0].split(" -")[0])
    assert len(kinds) > 1


LINKED = PairSaid(("email",), (), (), (), 3.0, (), 6.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vetoes": ("birth_dates_conflict",)}, "a fact forbids it: birth dates"),
        ({"vetoes": ("refined_apart",)}, "was parted between them"),
        ({"vetoes": ("overruled_by_model",)}, "the model overrules it"),
        ({"rules": (), "keys": ("phone",)}, "below the +6 from which it links"),
        ({"rules": (), "common": ("city",)}, "they agree on city, but too many"),
        ({"rules": (), "keys": ("x",), "weight": None}, "no match rule holds"),
    ],
)
def test_the_first_obstacle_is_named(change: dict[str, Any], said: str) -> None:
    assert said in why_apart(LINKED.__class__(**(vars(LINKED) | change)), None)


def test_what_holds_two_together_is_a_link_or_others() -> None:
    assert why_together(LINKED, None) == "match rule email holds"
    cut = LINKED.__class__(**(vars(LINKED) | {"vetoes": ("refined_apart",)}))
    assert "records between them" in why_together(cut, None)
