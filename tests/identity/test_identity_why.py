"""What an operator is told of two records, together or not."""

import math
from typing import Any

import pytest

from cdp_assets.identity.decisions import Author, decide
from cdp_assets.identity.evidence_path import Evidence, chain_between
from cdp_assets.identity.explain import UnknownRecordError, explain
from cdp_assets.identity.explain_html import page
from cdp_assets.identity.explain_text import why
from cdp_assets.identity.why_not import WhyNot, why_not
from cdp_assets.identity.why_not_text import in_words
from cdp_assets.warehouse import utc_now

HOME = {"street": "Elm Street 5", "city": "Boston", "postal": "02108"}
AUTHOR = Author("steward", utc_now(), "she called <us>")


@pytest.fixture
def resolved(scene: Any) -> Any:
    """Two spouses who share all but their names, a chain of three, and a stranger."""
    shared = {"phone": "+12025550101", **HOME}
    scene.person("crm_contact:1", "Grace", "Hopper", email="a@b.org", **shared)
    scene.person("crm_contact:2", "Vincent", "Hopper", email="v@b.org", **shared)
    scene.person("shop_customer:3", "Martin", "Schmidt", emails=["m@c.org"], **HOME)
    scene.person("erp_kna1:3", "Martin", "Schmidt", emails=["m@c.org", "n@c.org"])
    scene.person("email_subscriber:3", emails=["n@c.org"])
    scene.person("crm_lead:4", "Zoe", "Quimby", city="Paris")
    # A tenth of all bear the name, too many for blocking by last name alone.
    for number in range(13):
        scene.person(f"shop_customer:s{number}", f"Xq{number}", "Quimby", gender="f")
    scene.resolve()
    return scene


def test_the_path_is_told_edge_by_edge(resolved: Any) -> None:
    told = why(resolved.connection, "shop_customer:3", "email_subscriber:3")
    assert "are one person, u_" in told
    assert "They hang together through erp_kna1:3." in told
    assert told.count("match rule email holds") == 2
    assert "last name: 'schmidt' is that of 0." in told
    assert "Landed in" in told


@pytest.mark.parametrize(
    ("between", "chain"),
    [
        (
            [("a", "b", "model", "model", 11.6), ("b", "c", "rule", "email", None)],
            "abc",
        ),
        (
            [("a", "b", "decision", "same", None), ("b", "c", "rule", "email", None)],
            "abc",
        ),
        ([("a", "c", "rule", "email", None)], "ac"),
        ([("a", "c", "decision", "same", None)], "ac"),
    ],
)
def test_what_is_kept_and_links_nobody_is_no_reason(
    between: list[tuple[Any, ...]], chain: str
) -> None:
    """Evidence below the weight from which the model links is kept, too."""
    weak = ("a", "c", "model", "model", 5.9979)
    evidence = [Evidence(*row, None, None) for row in (weak, *between)]
    assert chain_between(evidence, "a", "c", 6.0) == list(chain)


def test_weights_add_up_to_the_stored_evidence(resolved: Any) -> None:
    """Frequencies of names included; a remainder would be an invented reason."""
    pairs = resolved.rows(
        """
        select l.record, r.record, any_value(match_weight) from identity.evidence
        join identity.node as l on node_l = l.node_id
        join identity.node as r on node_r = r.node_id
        where match_weight is not null group by all
        """
    )
    assert len(pairs) == 3
    adjusted = 0
    for left, right, weight in pairs:
        found = explain(resolved.connection, left, right)
        for edge in found.edges:
            if {edge.left, edge.right} == {left, right}:
                total = math.fsum(part.weight for part in edge.parts)
                assert total == pytest.approx(weight, abs=0.0001)
                adjusted += any("is that of" in part.said for part in edge.parts)
    assert adjusted


def test_a_decision_and_what_speaks_against_it_are_told(resolved: Any) -> None:
    decide(
        resolved.connection,
        "same",
        [("crm_contact:1", "crm_contact:2")],
        AUTHOR,
        command="same",
    )
    resolved.resolve()
    found = explain(resolved.connection, "crm_contact:1", "crm_contact:2")
    told = why(resolved.connection, "crm_contact:1", "crm_contact:2")
    assert "decided same by steward" in told
    assert "speaks against it: first names conflict" in told
    html = page(found)
    assert "she called &lt;us&gt;" in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<rect") == len(found.edges[0].parts)


def test_unknown_and_incomparable_records_are_named(resolved: Any) -> None:
    with pytest.raises(UnknownRecordError, match="crm_contact:9 is no resolved"):
        why(resolved.connection, "crm_contact:1", "crm_contact:9")
    with pytest.raises(UnknownRecordError, match="named twice"):
        why_not(resolved.connection, "crm_contact:1", "crm_contact:1")
    resolved.account("crm_account:1", "Acme")
    resolved.resolve()
    with pytest.raises(UnknownRecordError, match="a company's"):
        why(resolved.connection, "crm_contact:1", "crm_account:1")


def asked(scene: Any, one: str, other: str) -> tuple[WhyNot, str]:
    found = why_not(scene.connection, one, other)
    return found, in_words(found)


def test_why_not_names_facts_and_criteria(resolved: Any) -> None:
    found, told = asked(resolved, "crm_contact:1", "crm_contact:2")
    assert found.facts == ["first_names_conflict"]
    rules = {rule.name: rule for rule in found.rules}
    assert rules["phone_and_last_name"].holds
    assert not rules["email"].holds
    email = rules["email"].compared[0]
    assert (email.holds, email.left, email.right) == (False, "a@b.org", "v@b.org")
    assert {key.name for key in found.keys if key.brings} >= {
        "telephone_number",
        "postal_code_text + address_line1",
    }
    assert found.weight is not None
    total = math.fsum(part.weight for part in found.parts)
    assert total == pytest.approx(found.weight, abs=0.0001)
    assert "fact: first names conflict" in told


def test_why_not_says_that_the_model_never_saw_the_pair(resolved: Any) -> None:
    found, told = asked(resolved, "crm_lead:4", "shop_customer:s1")
    assert not any(key.brings for key in found.keys)
    (last_name,) = [key for key in found.keys if key.name == "last_name"]
    assert (last_name.agrees, last_name.records, last_name.at_most) == (True, 14, 12)
    assert "no blocking key brings it" in told
    assert "agrees, but 14 records do, above the 12 that are compared" in told


def test_why_not_names_the_decision_between_other_records_of_theirs(
    resolved: Any,
) -> None:
    decide(
        resolved.connection,
        "different",
        [("shop_customer:3", "email_subscriber:3")],
        AUTHOR,
        command="different",
    )
    resolved.resolve()
    _, told = asked(resolved, "shop_customer:3", "email_subscriber:3")
    assert "keeps email_subscriber:3 and shop_customer:3 apart, by steward" in told


def test_why_not_names_a_value_that_too_many_share(scene: Any) -> None:
    for number in range(25):
        scene.person(
            f"crm_contact:{number}", f"Xq{number}", f"Zv{number}son", email="i@b.org"
        )
    scene.resolve()
    found, told = asked(scene, "crm_contact:1", "crm_contact:2")
    assert found.shared == [
        "email_address i@b.org is carried by 25 records and not compared"
    ]
    assert "i@b.org is carried by 25" in told
    assert not any(rule.holds for rule in found.rules)


def test_why_not_of_one_person_leads_to_why(resolved: Any) -> None:
    _, told = asked(resolved, "shop_customer:3", "erp_kna1:3")
    assert "are one" in told
    assert "cdp identity why" in told


def test_why_not_works_for_companies(resolved: Any) -> None:
    resolved.account("crm_account:1", "Acme GmbH", city="Bonn")
    resolved.account("crm_account:2", "Acme", city="Berlin")
    resolved.resolve()
    found, told = asked(resolved, "crm_account:1", "crm_account:2")
    assert found.weight is None
    assert "yes  name by exact_normalised: acme | acme" in told
    assert "no   city_name by exact_normalised: bonn | berlin" in told
