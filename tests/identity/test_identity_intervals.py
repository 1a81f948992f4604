"""Intervals, threshold curve and rates per source."""

import itertools
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cdp_assets.identity.evaluation import quality_of
from cdp_assets.identity.judging.charts import bar_chart, line_chart
from cdp_assets.identity.judging.curve import curve, thresholds
from cdp_assets.identity.judging.intervals import figures_of
from cdp_assets.identity.judging.judgement import judge
from cdp_assets.identity.judging.report import sections
from cdp_assets.identity.rules import read_ruleset

FIGURES = (
    "precision",
    "recall",
    "f1",
    "b_cubed_precision",
    "b_cubed_recall",
    "b_cubed_f1",
)


def drawn(connection: duckdb.DuckDBPyConnection, seed: int, pairs: int) -> None:
    """Couples of entities of four records; some are merged, some split."""
    connection.execute(
        """
        create or replace temp table grouped as
        with record as (
            select couple, couple * 2 + half as entity, number, couple * 10
                + if(hash(couple, 'merged', $seed) % 12 = 0, 0, half)
                + if(hash(couple, half, number, $seed) % 15 = 0, 4 + number, 0)
                as person
            from range($pairs) as c(couple), range(2) as h(half), range(4) as n(number)
        )
        select entity, person from record
        """,
        {"seed": seed, "pairs": pairs},
    )


def test_figures_are_those_without_intervals() -> None:
    connection = duckdb.connect()
    drawn(connection, 1, 500)
    found, plain = figures_of(connection, "grouped"), quality_of(connection, "grouped")
    for name in FIGURES:
        figure = getattr(found, name)
        assert figure.value == pytest.approx(getattr(plain, name)), name
        assert figure.low < figure.value < figure.high, name
    # Merged couples are one island, all others two.
    assert 500 < found.islands < 1000


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Pairs taken for independent would cover it in half of the cases."""
    connection = duckdb.connect()
    drawn(connection, 0, 60_000)
    truth = figures_of(connection, "grouped")
    covered = dict.fromkeys(FIGURES, 0)
    for seed in range(1, 121):
        drawn(connection, seed, 150)
        found = figures_of(connection, "grouped")
        for name in FIGURES:
            low, high = getattr(found, name).low, getattr(found, name).high
            covered[name] += low <= getattr(truth, name).value <= high
    # Of 120 at 95 %, fewer than 106 would happen once in a thousand.
    assert min(covered.values()) >= 106, covered


def test_intervals_are_as_wide_as_a_bootstrap_of_islands_makes_them() -> None:
    connection = duckdb.connect()
    drawn(connection, 5, 2000)
    found = figures_of(connection, "grouped")
    sums = connection.execute(
        "select together, asserted, actual from island order by all"
    ).fetchnumpy()
    draws = np.random.default_rng(1).poisson(1, (800, len(sums["together"])))
    together, asserted, actual = (draws @ sums[name] for name in sums)
    for figure, drawn_again in (
        (found.precision, together / asserted),
        (found.recall, together / actual),
        (found.f1, 2 * together / (asserted + actual)),
    ):
        low, high = np.quantile(drawn_again, [0.025, 0.975])
        assert figure.high - figure.low == pytest.approx(high - low, rel=0.12)


@pytest.mark.parametrize("people", [0, 1, 8])
def test_no_error_seen_is_no_proof_of_none(people: int) -> None:
    connection = duckdb.connect()
    connection.execute(
        "create temp table grouped as select p as entity, p as person "
        "from range(?) as p(p), range(2)",
        [people],
    )
    found = figures_of(connection, "grouped")
    assert (found.precision.value, found.precision.high) == (1, 1)
    assert found.precision.low == pytest.approx(people / (people + 1.96**2))


@pytest.fixture
def judged(scene: Any, tmp_path: Path) -> tuple[Any, Path]:
    """People by rule, by the model, wrongly together and wrongly apart."""
    names = itertools.product(("Joan", "Ada", "Vera"), ("Clarke", "Byron", "Zilver"))
    for number, (first, last) in enumerate(names):
        email = f"{first}.{last}@b.org".lower()
        home = {
            "born": f"19{41 + 5 * number}-0{1 + number}-{11 + 2 * number}",
            "street": f"{['Elm', 'Oak', 'High', 'Mill'][number % 4]} Street {number}",
            "city": "Boston",
            "postal": f"0{2108 + 611 * number}",
        }
        scene.person(f"crm_contact:{number}", first, last, email=email, **home)
        scene.person(f"shop_customer:{number}", first, last, email=email)
        if number:
            known = home if number % 2 else {"born": home["born"]}
            scene.person(f"erp_kna1:{number}", first, f"{last}e", **known)
    scene.person("erp_kna1:0", "J", "Clark")
    scene.person("support_user:0", "Joan", "Byron", email="joan.clarke@b.org")
    scene.resolve()
    truth = tmp_path / "truth.csv"
    lines = [
        f"{source},{number},p{number}"
        for source in ("crm_contact", "shop_customer", "erp_kna1")
        for number in range(9)
    ]
    truth.write_text(
        "\n".join(["source,record_id,entity_id", *lines, "support_user,0,p1"]),
        encoding="utf-8",
    )
    return scene, truth


def test_the_curve_at_the_threshold_in_force_is_the_published_people(
    judged: tuple[Any, Path],
) -> None:
    scene, file = judged
    ruleset = read_ruleset()
    found = judge(scene.connection, ruleset, file)
    assert found.truth is not None
    assert ruleset.individual.model is not None
    points = {point.threshold: point for point in found.truth.curve}
    now = points[ruleset.individual.model.link_weight]
    assert now.precision == found.truth.people.precision.value < 1
    assert now.recall == found.truth.people.recall.value < 1
    assert now.f1 == pytest.approx(found.truth.people.f1.value)
    assert now.largest == found.totals.largest


def test_a_higher_threshold_only_parts(judged: tuple[Any, Path]) -> None:
    scene, file = judged
    use = read_ruleset().individual.model
    assert use is not None
    judge(scene.connection, read_ruleset(), file)
    points = curve(scene.connection, "truth_record", use)
    assert [point.threshold for point in points] == thresholds(use)
    for one, other in itertools.pairwise(points):
        assert other.right <= one.right
        assert other.false <= one.false
        assert other.right + other.missed == one.right + one.missed
    # Rules alone find fewer.
    assert points[-1].right < points[0].right


def test_rates_per_source(judged: tuple[Any, Path]) -> None:
    scene, file = judged
    found = judge(scene.connection, read_ruleset(), file)
    by_name = {each.source: each for each in found.sources}
    assert {name: each.records for name, each in by_name.items()} == {
        "crm_contact": 9, "erp_kna1": 9, "shop_customer": 9, "support_user": 1,
    }  # fmt: skip
    crm = by_name["crm_contact"]
    assert (crm.people, crm.alone, crm.matched_elsewhere, crm.largest) == (9, 0, 9, 1)
    pair = next(
        each
        for each in found.shared
        if (each.left, each.right) == ("crm_contact", "shop_customer")
    )
    assert (pair.people, pair.of_left, pair.of_right) == (9, 1.0, 1.0)
    assert sum(each.records for each in found.sources) == found.totals.records == 28
    told = sections(found)
    assert set(told) == {
        "against the truth", "threshold curve", "costs", "per source",
        "per pair of sources",
    }  # fmt: skip
    assert "(in force)" in told["threshold curve"]


def test_without_a_truth_there_are_rates_and_no_figures(judged: Any) -> None:
    scene, file = judged
    found = judge(scene.connection, read_ruleset(), file.with_name("none.csv"))
    assert found.truth is None
    assert set(sections(found)) == {"costs", "per source", "per pair of sources"}


def test_charts_load_nothing_and_hold_whatever_they_are_given() -> None:
    chart = line_chart("a < b", {"one & two": [(0, 1.0), (1, 1.0)]}, x_label="x")
    assert "a &lt; b" in chart
    assert "one &amp; two" in chart
    assert "nan" not in chart + line_chart("none", {}, x_label="x")
    bars = bar_chart("weights", [("same", 3.0), ("different", -1.5)])
    for svg in (chart, bars):
        assert svg.count("http") == svg.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert bars.count("<rect") == 3
