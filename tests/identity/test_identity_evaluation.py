"""Figures against a truth, and explanations of single pairs."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.identity.comparisons import COMPARISONS
from cdp_assets.identity.evaluation import evaluate
from cdp_assets.identity.explain_text import why
from cdp_assets.identity.model import read_model

LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=9)


def by_hand(people: list[int], truth: list[int], touched: set[int]) -> list[float]:
    """Pairwise precision and recall over every pair that touches a marked record."""
    pairs = [
        (people[a] == people[b], truth[a] == truth[b])
        for a, b in itertools.combinations(range(len(people)), 2)
        if a in touched or b in touched
    ]
    both = sum(said and true for said, true in pairs)
    said, true = sum(p[0] for p in pairs), sum(p[1] for p in pairs)
    return [both / said if said else 1.0, both / true if true else 1.0]


def write_truth(folder: Path, truth: list[int], trapped: set[int]) -> list[Path]:
    lines = [f"crm_contact,{n},p{entity}" for n, entity in enumerate(truth)]
    (folder / "truth.csv").write_text(
        "\n".join(["source,record_id,entity_id", *lines]), encoding="utf-8"
    )
    (folder / "traps.csv").write_text(
        "\n".join(["record,trap", *(f"crm_contact:{n},hard" for n in trapped)]) + "\n",
        encoding="utf-8",
    )
    return [folder / "truth.csv", folder / "traps.csv"]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), people=LABELS)
def test_the_figures_are_those_of_counting_every_pair(
    scene: Any, tmp_path: Path, data: st.DataObject, people: list[int]
) -> None:
    """Counting without pairs is fast, and easy to get wrong by one."""
    count = len(people)
    truth = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    trapped = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    scene.connection.execute("delete from identity.unified_link_individual")
    scene.connection.executemany(
        "insert into identity.unified_link_individual values (?, ?, 'model', 1)",
        [(f"u_{label}", f"crm_contact:{n}") for n, label in enumerate(people)],
    )
    found = evaluate(scene.connection, *write_truth(tmp_path, truth, trapped))
    everyone = by_hand(people, truth, set(range(count)))
    assert [found.people.precision, found.people.recall] == pytest.approx(everyone)
    hard = found.traps["hard"]
    assert [hard.precision, hard.recall] == pytest.approx(
        by_hand(people, truth, trapped)
    )
    b_cubed = [
        sum(
            sum(people[a] == people[b] and truth[a] == truth[b] for b in range(count))
            / sum(side[a] == side[b] for b in range(count))
            for a in range(count)
        )
        / count
        for side in (people, truth)
    ]
    quality = found.people
    assert [quality.b_cubed_precision, quality.b_cubed_recall] == pytest.approx(b_cubed)


def test_exact_rules_stand_beside_as_the_yardstick(scene: Any, tmp_path: Path) -> None:
    """Without it nobody could say what the model adds."""
    scene.person("crm_contact:0", "Ada", "Byron", email="ada@b.org")
    scene.person("crm_contact:1", "Ada", "Byron", emails=["ada@b.org", "ab@c.org"])
    scene.person("crm_contact:2", "A", "BYRON", phone="+441", email="ab@c.org")
    scene.person("crm_contact:3", "Alan", "Turing", phone="+442")
    scene.person("crm_contact:4", "Alan", "Turing", phone="+442")
    scene.person("crm_contact:5", "Alan", "Turin", phone="+442")
    scene.resolve()
    truth = write_truth(tmp_path, [0, 0, 0, 1, 1, 1], set())
    found = evaluate(scene.connection, *truth)
    assert found.exact_rules.precision == 1.0
    assert found.exact_rules.recall == pytest.approx(4 / 6)
    assert found.records == 6
    assert found.consolidation_rate == 1 - found.persons / 6


def test_why_adds_up_to_the_stored_weight(scene: Any) -> None:
    """An explanation whose parts do not add up explains something else."""
    home = {"street": "Elm Street 5", "city": "Boston", "postal": "02108"}
    scene.person("crm_contact:1", "Joan", "Clarke", born="1971-06-24", **home)
    scene.person("erp_kna1:1", "Joan", "Clarcke", born="1971-06-24", **home)
    scene.resolve()
    text = why(scene.connection, "crm_contact:1", "erp_kna1:1")
    assert "are one person, u_" in text
    assert "last name: one typo" in text
    total = float(re.findall(r"match weight ([+-][0-9.]+)", text)[0])
    parts = [float(part) for part in re.findall(r"^ +([+-]\d+\.\d\d)  ", text, re.M)]
    assert len(parts) >= len(COMPARISONS) + 1
    assert sum(parts) == pytest.approx(total, abs=0.05)


def test_why_names_the_records_between(scene: Any) -> None:
    """Two records without anything in common hang together through a third."""
    scene.person("crm_contact:1", "Ada", "Byron", email="ada@b.org")
    scene.person("crm_contact:2", "Ada", "Byron", emails=["ada@b.org", "ab@c.org"])
    scene.person("email_subscriber:3", email="ab@c.org")
    scene.resolve()
    text = why(scene.connection, "crm_contact:1", "email_subscriber:3")
    assert "through crm_contact:2" in text
    assert "match rule email holds" in text


def test_why_not_names_the_contradiction(scene: Any) -> None:
    """Support must be able to say why two look-alikes are two."""
    scene.person("crm_contact:1", "Grace", "Hopper", email="a@b.org")
    scene.person("crm_contact:2", "Vincent", "Hopper", email="a@b.org")
    scene.person("crm_contact:3", "Ada", "Byron")
    scene.resolve()
    text = why(scene.connection, "crm_contact:1", "crm_contact:2")
    assert "are two people" in text
    assert "match rule email holds" in text
    assert "speaks against it: first names conflict" in text
    nothing = why(scene.connection, "crm_contact:1", "crm_contact:3")
    assert "No rule holds" in nothing


def test_the_shipped_model_has_a_weight_for_every_level() -> None:
    """A level without a weight would silently count nothing."""
    model = read_model("match_model.json")
    weights = model.level_weights()
    assert list(weights) == list(COMPARISONS)
    for name, levels in COMPARISONS.items():
        assert len(weights[name]) == len(levels) - 1
        assert len(set(weights[name].values())) == len(levels) - 1
    assert [
        [level["label_for_charts"] for level in comparison["comparison_levels"]]
        for comparison in model.settings["comparisons"]
    ] == [[label for label, _ in levels] for levels in COMPARISONS.values()]


def test_more_records_need_more_evidence_in_steps() -> None:
    """Among a million, two Ada Byrons are less surely one than among a thousand."""
    model = read_model("match_model.json")
    weights = [model.for_records(n).prior_weight() for n in (1, 5000, 10**5, 10**7)]
    assert weights == sorted(weights, reverse=True)
    assert model.for_records(50_000) == model.for_records(60_000)
    versions = {model.for_records(n).version for n in (5000, 50_000)}
    assert len(versions) == 2
