"""What people are asked, and what becomes of their answers."""

import copy
import csv
import datetime as dt
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdp_assets.identity.decisions import Author, decide
from cdp_assets.identity.labels import (
    Label,
    LabelError,
    Share,
    answers,
    keep,
    quality,
    read_file,
)
from cdp_assets.identity.review import is_bridge, questions, write_file
from cdp_assets.identity.rules import RULESET, Ruleset

AT = dt.datetime(2026, 11, 2, 9)


def say(scene: Any, one: str, other: str, answer: str) -> None:
    keep(scene.connection, [Label(one, other, answer)], by="steward", at=AT, origin="x")


@pytest.fixture
def asked(scene: Any) -> Any:
    """A pair in doubt, a person held together by one weak link, and a large one."""
    scene.person("crm_contact:d1", "Joan", "Clarke", postal="CV21")
    scene.person("erp_kna1:d2", "Joan", "Clarcke", postal="CV21", city="Rugby")
    scene.person("email_subscriber:b1", email="oda@z.org")
    scene.person(
        "crm_contact:b2", "Oda", "Zilverberg", email="oda@z.org", born="1980-05-06"
    )
    scene.person("erp_kna1:b3", "Oda", "Zilverbergh", born="1980-05-06")
    for number in range(7):
        scene.person(f"email_subscriber:l{number}", "Ada", "Byron", email="a@b.org")
    scene.resolve()
    for record, weight in (("crm_contact:d1", 6.5), ("crm_contact:b2", 10.0)):
        # Whatever the model of the day weighs them.
        scene.connection.execute(
            "update identity.evidence set match_weight = ? from identity.node as node "
            "where kind = 'model' and node.record = ? "
            "and node.node_id in (node_l, node_r)",
            [weight, record],
        )
    return scene


def test_each_reason_asks_its_pair(asked: Any) -> None:
    found = {(q.left, q.right): q.reason for q in questions(asked.connection, 20)}
    doubt = "the model is in doubt: +6.50, it links from +6"
    assert found[("crm_contact:d1", "erp_kna1:d2")] == doubt
    bridge = "this link alone holds 3 records together"
    assert found[("crm_contact:b2", "erp_kna1:b3")] == bridge
    assert "the weakest link of a person of 7 records" in found.values()
    assert len(found) == 3


def test_what_was_answered_or_decided_is_not_asked_again(asked: Any) -> None:
    queue = questions(asked.connection, 20)
    first, second = queue[:2]
    say(asked, first.left, first.right, "unsure")
    decide(
        asked.connection,
        "same",
        [(second.left, second.right)],
        Author("steward", AT, ""),
        command="same",
    )
    left = {(q.left, q.right) for q in questions(asked.connection, 20)}
    assert not left & {(first.left, first.right), (second.left, second.right)}
    assert len(questions(asked.connection, 1)) == 1


def test_a_queue_goes_out_and_its_answers_come_in_as_csv(
    asked: Any, tmp_path: Path
) -> None:
    file = tmp_path / "queue.csv"
    asked.connection.execute(
        "update identity.node set first_name = '=cmd()' where record = 'crm_contact:d1'"
    )
    queue = questions(asked.connection, 20)
    write_file(asked.connection, queue, file)
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(queue)
    assert any(row["first_name_l"] == "'=cmd()" for row in rows)
    for number, row in enumerate(rows):
        row["answer"] = ("same", "Different ", "unsure", "")[number % 4]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    labels = read_file(file)
    assert len(labels) == sum(bool(row["answer"]) for row in rows)
    keep(asked.connection, labels, by="steward", at=AT, origin="queue.csv")
    assert sum(answers(asked.connection).values()) == len(labels)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("record_l,record_r\na:1,b:2\n", "no column answer"),
        (
            "record_l,record_r,answer\na:1,b:2,same\na:1,b:3,yes\n",
            "queue.csv:3: answer",
        ),
        ("record_l,record_r,answer\na:1,a:1,same\n", "queue.csv:2: record_l and"),
    ],
)
def test_a_file_of_labels_that_cannot_be_read_says_where(
    tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "queue.csv"
    file.write_text(content)
    with pytest.raises(LabelError, match=says):
        read_file(file)


def test_people_are_judged_on_labels_and_not_on_decisions(scene: Any) -> None:
    for number in range(4):
        scene.person(
            f"crm_contact:{number}", email="a@b.org" if number < 3 else "x@y.z"
        )
    scene.resolve()
    say(scene, "crm_contact:0", "crm_contact:1", "same")
    say(scene, "crm_contact:0", "crm_contact:2", "different")
    say(scene, "crm_contact:3", "crm_contact:0", "same")
    say(scene, "crm_contact:3", "crm_contact:2", "unsure")
    say(scene, "crm_contact:3", "crm_contact:9", "same")
    found = quality(scene.connection)
    assert (found.precision, found.recall) == (Share(1, 2), Share(1, 2))
    decide(
        scene.connection,
        "different",
        [("crm_contact:0", "crm_contact:2")],
        Author("steward", AT, ""),
        command="different",
    )
    assert quality(scene.connection).precision == Share(1, 1)
    assert answers(scene.connection) == {"different": 1, "same": 3, "unsure": 1}


def test_a_run_that_contradicts_more_labels_is_held(scene: Any) -> None:
    content = copy.deepcopy(yaml.safe_load(RULESET.read_text(encoding="utf-8")))
    content["individual"]["gates"] |= {
        "consolidation_change": 1,
        "ids_changed": 1,
        "labels_needed": 4,
    }
    rules = Ruleset.model_validate(content)
    for number in range(8):
        scene.person(f"crm_contact:{number}", email=f"a{number // 2}@b.org")
    scene.resolve(rules)
    for number in range(0, 8, 2):
        say(scene, f"crm_contact:{number}", f"crm_contact:{number + 1}", "same")
    say(scene, "crm_contact:0", "crm_contact:2", "different")
    scene.connection.execute(
        "update dmo.contact_point_email set normalised_email = 'a0@b.org' "
        "where normalised_email = 'a1@b.org'"
    )
    result = scene.resolve(rules)
    assert result.status == "held"
    (failure,) = result.failures
    assert failure.gate == "precision_on_labels"
    assert (failure.limit, failure.value) == (0.05, pytest.approx(0.2))
    assert "4 of 5" in str(failure)


@given(st.integers(0, 200), st.integers(0, 200))
def test_an_interval_holds_its_share_and_narrows(hits: int, misses: int) -> None:
    share = Share(hits, hits + misses)
    low, high = share.interval()
    assert 0 <= low <= share.value + 1e-9
    assert share.value - 1e-9 <= high <= 1
    if share.pairs:
        wider = share.interval()[1] - share.interval()[0]
        more = Share(hits * 4, share.pairs * 4).interval()
        assert more[1] - more[0] < wider


def test_the_interval_is_wilsons() -> None:
    """8 of 10, as published: 0.490 to 0.943."""
    low, high = Share(8, 10).interval()
    assert math.isclose(low, 0.4902, abs_tol=1e-3)
    assert math.isclose(high, 0.9433, abs_tol=1e-3)


@pytest.mark.parametrize(
    ("links", "link", "is_one"),
    [
        ([("a", "b"), ("b", "c")], ("a", "b"), True),
        ([("a", "b"), ("b", "c"), ("a", "c")], ("a", "b"), False),
        ([("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")], ("c", "d"), True),
    ],
)
def test_bridges(
    links: list[tuple[str, str]], link: tuple[str, str], is_one: bool
) -> None:
    assert is_bridge(links, link) is is_one
