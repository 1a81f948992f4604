"""Decisions: a person says same or different, and nothing else has a say any more."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.contradiction import Decision, contradictions
from cdp_assets.identity.decided import contradicting, decisions_wait, not_kept
from cdp_assets.identity.decision_checks import DecisionError
from cdp_assets.identity.decision_listing import commands
from cdp_assets.identity.decisions import Author, decide, split, undo
from cdp_assets.identity.partition import Pair, partition

HOME = {"street": "Elm Street 5", "city": "Boston", "postal": "02108"}
AUTHOR = Author("steward", dt.datetime(2026, 11, 2, 9), "they called")


def say(scene: Any, kind: Any, one: str, other: str) -> int:
    return decide(scene.connection, kind, [(one, other)], AUTHOR, command=kind).number


def together(scene: Any, *records: str) -> bool:
    return len({scene.id_of(record) for record in records}) == 1


def strangers(scene: Any) -> None:
    """Company for those a test is about, so that no gate finds everybody changed."""
    for number in range(12):
        scene.person(f"shop_customer:s{number}", f"Xq{number}", f"Zv{number}son")


def test_same_links_what_nothing_brings_together_even_against_facts(scene: Any) -> None:
    strangers(scene)
    scene.person("crm_contact:1", "Grace", "Hopper", born="1906-12-09")
    scene.person("erp_kna1:1", "Vincent", "Byron", born="1971-03-04")
    scene.resolve()
    assert not together(scene, "crm_contact:1", "erp_kna1:1")
    number = say(scene, "same", "erp_kna1:1", "crm_contact:1")
    assert decisions_wait(scene.connection)
    assert scene.resolve().status == "promoted"
    assert together(scene, "crm_contact:1", "erp_kna1:1")
    assert not decisions_wait(scene.connection)
    assert not_kept(scene.connection) == []
    assert scene.rows(
        "select tier from identity.unified_link_individual where record = 'erp_kna1:1'"
    ) == [("decision",)]
    # The fact that speaks against it is kept beside the decision.
    kinds = scene.rows("select kind, rule from identity.evidence order by 1, 2")
    assert ("decision", "same") in kinds
    assert ("veto", "birth_dates_conflict") in kinds
    assert scene.rows(
        "select applied_run from identity.decision where decision = ?", number
    ) == [(2,)]


def test_different_parts_even_what_a_chain_of_others_joins(scene: Any) -> None:
    strangers(scene)
    scene.person("crm_contact:1", "Ada", "Byron", emails=["a@b.org"])
    scene.person("crm_contact:2", "Ada", "Byron", emails=["a@b.org", "b@b.org"])
    scene.person("crm_contact:3", "Ada", "Byron", emails=["b@b.org"])
    scene.resolve()
    assert together(scene, "crm_contact:1", "crm_contact:2", "crm_contact:3")
    say(scene, "different", "crm_contact:1", "crm_contact:3")
    scene.resolve()
    assert not together(scene, "crm_contact:1", "crm_contact:3")
    assert not_kept(scene.connection) == []


def test_different_parts_companies_too(scene: Any) -> None:
    for number in range(1, 4):
        scene.account(f"crm_account:{number}", "Acme", domain="acme.org")
    for number in range(9):
        scene.account(f"crm_account:s{number}", f"Other {number}")
    scene.resolve()
    say(scene, "different", "crm_account:1", "crm_account:2")
    assert scene.resolve().status == "promoted"
    people = scene.rows(
        "select record, unified_account_id from identity.unified_link_account "
        "where record in ('crm_account:1', 'crm_account:2', 'crm_account:3')"
    )
    assert len({id for _, id in people}) == 2
    assert dict(people)["crm_account:1"] != dict(people)["crm_account:2"]


def test_same_takes_the_shared_inbox_from_one_spouse_to_the_other(scene: Any) -> None:
    """It must not make one person of both on the way."""
    strangers(scene)
    for record, name in (("crm_contact:1", "Grace"), ("crm_contact:2", "Vincent")):
        scene.person(record, name, "Hopper", email="hopper@mail.org", **HOME)
    scene.person("email_subscriber:1", email="hopper@mail.org")
    scene.resolve()
    other = (
        "crm_contact:2"
        if together(scene, "crm_contact:1", "email_subscriber:1")
        else "crm_contact:1"
    )
    number = say(scene, "same", other, "email_subscriber:1")
    assert scene.resolve().status == "promoted"
    assert together(scene, other, "email_subscriber:1")
    assert not together(scene, "crm_contact:1", "crm_contact:2")
    undo(scene.connection, number, AUTHOR)
    assert scene.resolve().status == "promoted"
    assert not together(scene, other, "email_subscriber:1")


def test_a_split_parts_the_named_from_the_rest_and_is_undone_as_one(scene: Any) -> None:
    strangers(scene)
    for number in range(4):
        scene.person(f"crm_contact:{number}", "Ada", "Byron", email="a@b.org")
    scene.resolve()
    person = scene.id_of("crm_contact:0")
    done = split(scene.connection, person, ["crm_contact:2", "crm_contact:3"], AUTHOR)
    assert len(done.pairs) == 4
    assert scene.resolve().status == "promoted"
    assert together(scene, "crm_contact:0", "crm_contact:1")
    assert together(scene, "crm_contact:2", "crm_contact:3")
    assert not together(scene, "crm_contact:1", "crm_contact:2")
    assert len(undo(scene.connection, done.number + 2, AUTHOR)) == 4
    scene.resolve()
    assert together(scene, *(f"crm_contact:{number}" for number in range(4)))
    assert scene.id_of("crm_contact:0") == person


@pytest.mark.parametrize(
    ("person", "records", "says"),
    [
        ("crm_contact:0", ["crm_contact:9"], "crm_contact:9: not a record of"),
        ("crm_contact:9", [], "nothing left to be parted from"),
        ("u_0000", [], "is no living person"),
    ],
)
def test_a_split_of_nothing_is_refused(
    scene: Any, person: str, records: list[str], says: str
) -> None:
    for number in (0, 1):
        scene.person(f"crm_contact:{number}", "Ada", "Byron", email="a@b.org")
    scene.person("crm_contact:9", "Grace", "Hopper")
    scene.resolve()
    with pytest.raises(DecisionError, match=says):
        split(scene.connection, person, records, AUTHOR)
    assert scene.rows("select count(*) from identity.decision") == [(0,)]


def test_a_decision_waits_for_a_record_and_outlives_it(scene: Any) -> None:
    strangers(scene)
    scene.person("crm_contact:1", "Grace", "Hopper")
    scene.resolve()
    done = decide(
        scene.connection,
        "same",
        [("crm_contact:1", "crm_lead:9")],
        AUTHOR,
        command="same",
    )
    assert done.dormant == ["crm_lead:9"]
    assert not decisions_wait(scene.connection)
    scene.person("crm_lead:9", "Vincent", "Byron")
    scene.resolve()
    assert together(scene, "crm_contact:1", "crm_lead:9")
    scene.forget("crm_lead:9")
    scene.resolve()
    scene.person("crm_lead:9", "Vincent", "Byron")
    scene.resolve()
    assert together(scene, "crm_contact:1", "crm_lead:9")


def test_contradictions_are_refused_with_their_chain(scene: Any) -> None:
    for number in range(4):
        scene.person(f"crm_contact:{number}", "Ada", "Byron")
    scene.resolve()
    say(scene, "same", "crm_contact:0", "crm_contact:1")
    say(scene, "same", "crm_contact:1", "crm_contact:2")
    with pytest.raises(DecisionError) as refused:
        say(scene, "different", "crm_contact:0", "crm_contact:2")
    assert "crm_contact:0 same crm_contact:1 (decision 1)" in str(refused.value)
    assert "crm_contact:1 same crm_contact:2 (decision 2)" in str(refused.value)
    # It got no number, and another decision will have it.
    assert "decision 3" not in str(refused.value)
    assert "`cdp identity undo 1`" in str(refused.value)
    say(scene, "different", "crm_contact:0", "crm_contact:3")
    with pytest.raises(DecisionError, match="decision 3"):
        say(scene, "same", "crm_contact:2", "crm_contact:3")
    assert scene.rows("select count(*) from identity.decision") == [(3,)]
    undo(scene.connection, 3, AUTHOR)
    say(scene, "same", "crm_contact:2", "crm_contact:3")


def test_contradictions_that_arose_all_the_same_hold_the_run(scene: Any) -> None:
    """As from a table written by hand: which of the two is meant nobody can say."""
    for number in range(2):
        scene.person(f"crm_contact:{number}", "Ada", "Byron")
    scene.resolve()
    say(scene, "same", "crm_contact:0", "crm_contact:1")
    scene.connection.execute(
        "insert into identity.decision (decision, kind, record_l, record_r, "
        "decided_by, decided_at) values (9, 'different', 'crm_contact:0', "
        "'crm_contact:1', 'hand', ?)",
        [AUTHOR.at],
    )
    assert len(contradicting(scene.connection)) == 1
    result = scene.resolve()
    assert result.status == "held"
    assert "contradicting_decisions" in str(result.failures[0])
    undo(scene.connection, 9, AUTHOR)
    assert scene.resolve().status == "promoted"


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ("crm_contact:0", "crm_contact:0", "named twice"),
        ("crm_contact:0", "crm_contct:1", "did you mean"),
        ("crm_contact:0", "crm_account:1", "company"),
        ("crm_contact:0", "crm_contact:", "names no record"),
    ],
)
def test_what_cannot_be_decided_is_refused(
    scene: Any, one: str, other: str, says: str
) -> None:
    scene.person("crm_contact:0", "Ada", "Byron")
    scene.account("crm_account:1", "Acme")
    scene.resolve()
    with pytest.raises(DecisionError, match=says):
        say(scene, "same", one, other)


def test_evidence_adds_up_to_the_people_with_decisions_in_it(scene: Any) -> None:
    """Who reads the evidence table alone must come to the published people."""
    strangers(scene)
    for number, email in enumerate(["a", "a", "b", "b", "c", "d"]):
        scene.person(f"crm_contact:{number}", "Ada", "Byron", email=f"{email}@b.org")
    scene.resolve()
    say(scene, "different", "crm_contact:0", "crm_contact:1")
    say(scene, "same", "crm_contact:0", "crm_contact:5")
    say(scene, "same", "crm_contact:5", "shop_customer:s1")
    assert scene.resolve().status == "promoted"
    scene.connection.execute(
        """
        create or replace temp table edge as
        select node_l, node_r from identity.evidence group by node_l, node_r
        having bool_or(kind = 'decision' and rule = 'same') or (
            bool_or(kind = 'rule' or match_weight >= 6)
            and not bool_or(kind = 'veto' or rule = 'different')
        )
        """
    )
    stage_components(scene.connection, "edge", "component")
    found = {
        frozenset(records)
        for (records,) in scene.rows(
            """
            select list(record) from identity.node
            left join component using (node_id)
            group by coalesce(component, node_id)
            """
        )
    }
    assert found == scene.people()
    assert together(scene, "crm_contact:0", "crm_contact:5", "shop_customer:s1")


def test_a_broken_decision_is_noticed(scene: Any) -> None:
    """As by a link that was written by hand."""
    strangers(scene)
    scene.person("crm_contact:1", "Grace", "Hopper")
    scene.person("crm_contact:2", "Vincent", "Byron")
    scene.resolve()
    number = say(scene, "same", "crm_contact:1", "crm_contact:2")
    assert not_kept(scene.connection) == []
    scene.resolve()
    scene.connection.execute(
        "update identity.unified_link_individual set unified_individual_id = 'u_0' "
        "where record = 'crm_contact:1'"
    )
    assert not_kept(scene.connection) == [f"decision {number} is broken"]


def test_decisions_are_listed_with_what_became_of_them(scene: Any) -> None:
    strangers(scene)
    scene.person("crm_contact:1", "Grace", "Hopper")
    scene.person("crm_contact:2", "Vincent", "Byron")
    scene.resolve()
    say(scene, "same", "crm_contact:1", "crm_contact:2")
    say(scene, "same", "crm_contact:1", "crm_lead:9")
    waits, dormant = commands(scene.connection)
    assert waits.state == "takes effect with the next run"
    assert dormant.state == "dormant: there is no crm_lead:9 now"
    scene.resolve()
    assert commands(scene.connection)[0].state == "holds since run 2"
    undo(scene.connection, 1, AUTHOR)
    scene.resolve()
    told = str(commands(scene.connection)[0])
    assert "by steward on 2026-11-02 09:00 UTC: they called" in told
    assert "undone by steward on 2026-11-02 09:00 UTC: they called; since run 3" in told


RECORDS = [f"r{number}" for number in range(7)]
SIDES = st.tuples(st.sampled_from(RECORDS), st.sampled_from(RECORDS)).filter(
    lambda sides: sides[0] < sides[1]
)
DECISIONS = st.lists(st.tuples(st.sampled_from(["same", "different"]), SIDES))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    decided=DECISIONS,
    weights=st.dictionaries(SIDES, st.floats(-20, 20), max_size=21),
    seed=st.randoms(use_true_random=False),
)
def test_a_group_keeps_every_decision_that_can_be_kept(
    decided: list[Any], weights: dict[Any, float], seed: Any
) -> None:
    """Whatever the weights say, and in whatever order they come."""
    kept: list[Decision] = []
    for number, (kind, sides) in enumerate(decided):
        more = [*kept, Decision(number, kind, *sides)]
        if not contradictions(more):
            kept = more
    kinds = {(each.left, each.right): each.kind for each in kept}
    pairs = [
        Pair(
            *sides,
            weight=weights.get(sides, 0.0),
            linked=sides in weights,
            vetoed=kinds.get(sides) == "different",
            same=kinds.get(sides) == "same",
        )
        for sides in sorted({*weights, *kinds})
    ]
    part = partition(pairs, join_weight=0.0)
    for sides, kind in kinds.items():
        assert (part[sides[0]] == part[sides[1]]) == (kind == "same")
    shuffled = pairs[:]
    seed.shuffle(shuffled)
    assert partition(shuffled, join_weight=0.0) == part
