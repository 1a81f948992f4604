"""Precision and recall estimated from answers to a random sample."""

import datetime as dt
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdp_assets.errors import OperatorError
from cdp_assets.identity.decisions import Author, decide
from cdp_assets.identity.judging.clerical import Clerical, estimate
from cdp_assets.identity.judging.judgement import judge
from cdp_assets.identity.judging.report import sections
from cdp_assets.identity.judging.sampling import allocate, draw
from cdp_assets.identity.judging.strata import STRATA, sizes, stage_strata
from cdp_assets.identity.rules import RULESET, Ruleset, read_ruleset

AT = dt.datetime(2026, 11, 2, 9)
LINK = read_ruleset().individual.link_weight()
PEOPLE = 900


@pytest.fixture
def published(scene: Any) -> Any:
    """People as if resolved: four records each; every twelfth two are merged.

    Weights say little of the truth, as those of a bad model. Every 15th record is torn
    off, and has evidence with the rest in two cases of three.
    """
    scene.connection.execute(
        """
        create temp table made as
        with record as (
            select
                p, n, p * 4 + n as node_id, 'crm_contact:' || (p * 4 + n) as record,
                hash(p, n) % 15 = 0 as torn, if(hash(p // 2) % 12 = 0, p // 2 * 2, p)
                as person
            from range($people) as p(p), range(4) as n(n)
        )
        select *, if(torn, 'u_t' || node_id, 'u_' || person) as uid from record;
        """,
        {"people": PEOPLE},
    )
    scene.connection.execute(
        """
        insert into identity.unified_link_individual
        select uid, record, 'model', 1 from made;
        insert into identity.node (
            record, node_id, object, feature_hash, content_hash, data_source_id
        )
        select record, node_id, 'individual', '', '', 'crm' from made;
        insert into identity.evidence (
            node_l, node_r, kind, rule, match_weight, object
        )
        select
            l.node_id, r.node_id, 'model', 'model',
            (hash(l.node_id, r.node_id) % 26)::int - 2 - 8 * (l.torn or r.torn)::int,
            'individual'
        from made as l inner join made as r
            on l.p // 2 = r.p // 2 and l.node_id < r.node_id
        where if(l.p = r.p, hash(l.node_id, r.node_id, 'seen') % 3 > 0,
            hash(l.node_id, r.node_id, 'seen') % 9 = 0)
        """
    )
    return scene


def answer(scene: Any, seed: str, pairs: int = 200) -> Clerical:
    """Draw a sample and answer it as the truth says."""
    draw(scene.connection, pairs, link_weight=LINK, seed=seed, at=AT)
    scene.connection.execute(
        """
        delete from identity.labelled_pair;
        insert into identity.labelled_pair
        select record_l, record_r, l.p = r.p, 'sample', $at, 'steward'
        from identity.clerical_sample
        inner join made as l on l.record = record_l
        inner join made as r on r.record = record_r
        """,
        {"at": AT},
    )
    found = estimate(scene.connection, LINK)
    assert found is not None
    return found


def true_rates(scene: Any) -> tuple[float, float]:
    """Precision and recall over the same pairs, all of them."""
    stage_strata(scene.connection, LINK)
    row = scene.rows(
        """
        select
            count(*) filter (where l.p = r.p and l.uid = r.uid)
                / count(*) filter (where l.uid = r.uid),
            count(*) filter (where l.p = r.p and l.uid = r.uid)
                / count(*) filter (where l.p = r.p)
        from judged_pair
        inner join made as l on l.record = record_l
        inner join made as r on r.record = record_r
        """
    )[0]
    return float(row[0]), float(row[1])


def test_the_estimate_covers_the_truth(published: Any) -> None:
    """An interval that is too narrow would let a bad model pass for a good one."""
    precision, recall = true_rates(published)
    assert 0.7 < precision < 0.97
    assert 0.7 < recall < 0.97
    found = [answer(published, str(seed)) for seed in range(30)]
    right = sum(
        each.precision.low <= precision <= each.precision.high for each in found
    )
    caught = sum(each.recall.low <= recall <= each.recall.high for each in found)
    # Of 30 at 95 %, fewer than 25 would happen once in three hundred.
    assert right >= 25
    assert caught >= 25
    mean = sum(each.precision.value for each in found) / len(found)
    assert mean == pytest.approx(precision, abs=0.012)
    assert max(each.precision.high - each.precision.low for each in found) < 0.2


def test_answers_of_all_pairs_leave_nothing_open(published: Any) -> None:
    found = answer(published, "1", 1_000_000)
    precision, recall = true_rates(published)
    for figure, truth in ((found.precision, precision), (found.recall, recall)):
        assert (figure.low, figure.value, figure.high) == pytest.approx([truth] * 3)


def test_a_seed_draws_the_same_pairs_and_a_larger_sample_holds_the_smaller(
    published: Any,
) -> None:
    def drawn(pairs: int, seed: str) -> list[tuple[str, str]]:
        asked = draw(published.connection, pairs, link_weight=LINK, seed=seed, at=AT)
        return [(question.left, question.right) for question in asked]

    first = drawn(100, "a")
    assert first == drawn(100, "a")
    assert len(set(first)) == 100
    assert set(first) <= set(drawn(300, "a"))
    assert len(set(first) & set(drawn(100, "b"))) < 50
    # Nothing of what the system thinks of them leads who answers.
    asked = draw(published.connection, 50, link_weight=LINK, seed="a", at=AT)
    assert {(each.reason, each.weight) for each in asked} == {("drawn at random", None)}


def test_what_was_answered_is_not_asked_again_and_unsure_counts_as_not_asked(
    published: Any,
) -> None:
    sure = answer(published, "1", 100)
    again = draw(published.connection, 120, link_weight=LINK, seed="1", at=AT)
    assert len(again) == 20
    published.connection.execute("update identity.labelled_pair set is_match = null")
    assert estimate(published.connection, LINK) is None
    assert sum(each.answered for each in sure.strata) == 100


def test_decided_pairs_are_not_judged_and_the_report_says_what_was_found(
    published: Any, tmp_path: Any
) -> None:
    stage_strata(published.connection, LINK)
    before = sum(sizes(published.connection).values())
    pair = published.rows("select record_l, record_r from judged_pair limit 1")[0]
    decide(published.connection, "same", [pair], Author("s", AT, ""), command="same")
    stage_strata(published.connection, LINK)
    assert sum(sizes(published.connection).values()) == before - 1
    assert list(sizes(published.connection)) == list(STRATA)
    answer(published, "1")
    found = judge(published.connection, read_ruleset(), tmp_path / "none")
    assert found.clerical is not None
    told = sections(found)["random sample"]
    assert f"Precision {found.clerical.precision}" in told
    assert "apart, above the link weight" in told


def test_too_small_a_sample_is_refused(published: Any) -> None:
    with pytest.raises(OperatorError, match="3 pairs are too few for 8 strata"):
        draw(published.connection, 3, link_weight=LINK, seed="1", at=AT)


def test_nothing_to_draw_from_is_said(scene: Any) -> None:
    with pytest.raises(OperatorError, match="resolve some people first"):
        draw(scene.connection, 100, link_weight=LINK, seed="1", at=AT)
    assert estimate(scene.connection, LINK) is None


@given(
    st.dictionaries(st.sampled_from(STRATA), st.integers(1, 5000), min_size=1),
    st.integers(8, 3000),
)
def test_as_many_are_drawn_as_wanted_or_as_there_are(
    pairs: dict[str, int], wanted: int
) -> None:
    drawn = allocate(pairs, wanted)
    assert sum(drawn.values()) == min(wanted, sum(pairs.values()))
    for name, count in drawn.items():
        assert 1 <= count <= pairs[name]


def test_answers_and_costs_ask_for_a_threshold(published: Any, tmp_path: Any) -> None:
    """Whoever fears a wrong merge more is told a higher threshold, and no run obeys."""
    answer(published, "1", 400)
    asked = []
    for merge, split in ((1, 50), (1, 1), (50, 1)):
        ruleset = costing(false_merge=merge, false_split=split)
        found = judge(published.connection, ruleset, tmp_path / "none")
        asked.append(found.asked[0].link_weight)
        assert "answers to a random sample" in found.asked[0].source
        assert "costs" in sections(found)
        agree = abs(found.asked[0].link_weight - LINK) <= 2
        assert found.costs_agree is agree
        assert ruleset.version() == read_ruleset().version()
    assert asked == sorted(asked)
    assert asked[0] < asked[2]


def test_without_answers_the_model_itself_is_asked(scene: Any, tmp_path: Any) -> None:
    ruleset = costing(false_merge=32, false_split=1, step=1)
    found = judge(scene.connection, ruleset, tmp_path / "none")
    assert [(each.link_weight, each.source) for each in found.asked] == [
        (5.0, "the model's own probabilities")
    ]
    assert found.costs_agree
    ruleset = costing(false_merge=1, false_split=1, step=1)
    assert not judge(scene.connection, ruleset, tmp_path / "none").costs_agree


def test_costs_that_cannot_be_are_refused() -> None:
    content = yaml.safe_load(RULESET.read_text(encoding="utf-8"))
    content["account"]["costs"] = {"false_merge": 1, "false_split": 1}
    with pytest.raises(ValueError, match="remove them or declare a model"):
        Ruleset.model_validate(content)
    with pytest.raises(ValueError, match="greater than 0"):
        costing(false_merge=0, false_split=1)


def costing(**costs: float) -> Ruleset:
    """The ruleset shipped, with other costs."""
    content = yaml.safe_load(RULESET.read_text(encoding="utf-8"))
    content["individual"]["costs"] = costs
    return Ruleset.model_validate(content)
