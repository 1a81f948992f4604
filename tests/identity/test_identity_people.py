"""Which records become one person, and which never do."""

from typing import Any

import pytest
import yaml

from cdp_assets.identity.compared_records import stage_compared
from cdp_assets.identity.components import stage_components
from cdp_assets.identity.rules import RULESET, Ruleset, read_ruleset
from cdp_assets.identity.vetoes import stage_vetoes

HOME = {"street": "Elm Street 5", "city": "Boston", "postal": "02108"}


def together(scene: Any, *records: str) -> bool:
    return len({scene.id_of(record) for record in records}) == 1


def test_each_of_the_articles_rules_links(scene: Any) -> None:
    """What the article promises, one pair per rule."""
    scene.person("crm_contact:1", "Ada", "Lovelace", email="ada@lovelace.org")
    scene.person("shop_customer:1", email="ada@lovelace.org")
    scene.person("crm_contact:2", "Grace", "Hopper", phone="+12025550101")
    scene.person("erp_kna1:2", "G.", "Hopper", phone="+12025550101")
    scene.person("crm_contact:3", "William", "Tutte", city="Kitchener")
    scene.person("crm_lead:3", "Bill", "Tutte", city="Kitchener")
    scene.resolve()
    assert scene.people() == {
        frozenset({"crm_contact:1", "shop_customer:1"}),
        frozenset({"crm_contact:2", "erp_kna1:2"}),
        frozenset({"crm_contact:3", "crm_lead:3"}),
    }
    tiers = dict(
        scene.rows("select record, tier from identity.unified_link_individual")
    )
    assert tiers["shop_customer:1"] == "rule:email"
    assert tiers["erp_kna1:2"] == "rule:phone_and_last_name"
    assert tiers["crm_lead:3"] == "rule:fuzzy_name_and_city"


def test_the_model_sees_what_no_rule_does(scene: Any) -> None:
    """A new inbox and a typo in the last name; birthday and street remain."""
    scene.person(
        "crm_contact:1", "Joan", "Clarke", born="1971-06-24", email="j@a.org", **HOME
    )
    scene.person(
        "erp_kna1:1", "Joan", "Clarcke", born="1971-06-24", email="jc@b.com", **HOME
    )
    scene.resolve()
    assert scene.people() == {frozenset({"crm_contact:1", "erp_kna1:1"})}
    assert scene.rows("select distinct tier from identity.unified_link_individual") == [
        ("model",)
    ]


def test_spouses_who_share_inbox_phone_and_home_stay_two(scene: Any) -> None:
    """One profile for both would mail her birthday voucher to him."""
    shared = {"email": "family@hopper.org", "phone": "+12025550101", **HOME}
    scene.person("crm_contact:1", "Grace", "Hopper", **shared)
    scene.person("crm_contact:2", "Vincent", "Hopper", **shared)
    scene.resolve()
    assert len(scene.people()) == 2
    assert scene.rows(
        "select distinct rule from identity.evidence where kind = 'veto' "
        "and rule = 'first_names_conflict'"
    )


def test_a_record_known_by_the_family_inbox_joins_one_of_two(scene: Any) -> None:
    """It must not be the bridge that makes one person of both."""
    for record, name in (("crm_contact:1", "Grace"), ("crm_contact:2", "Vincent")):
        scene.person(record, name, "Hopper", email="hopper@mail.org", **HOME)
    scene.person("email_subscriber:1", email="hopper@mail.org")
    scene.resolve()
    assert not together(scene, "crm_contact:1", "crm_contact:2")
    assert len(scene.people()) == 2
    assert scene.rows(
        "select count(*) from identity.evidence where rule = 'refined_apart'"
    ) == [(1,)]


def test_twins_with_similar_names_stay_two(scene: Any) -> None:
    """Lena and Lea: same birthday, home and inbox, 93 % similar names."""
    shared = {"born": "2001-03-05", "email": "zwillinge@x.de", **HOME}
    scene.person("crm_contact:1", "Lena", "Schmidt", **shared)
    scene.person("crm_contact:2", "Lea", "Schmidt", **shared)
    scene.resolve()
    assert len(scene.people()) == 2


def test_senior_and_junior_stay_two(scene: Any) -> None:
    """By suffix where both have one, by birthday where they do not."""
    scene.person("crm_contact:1", "John", "Smith", suffix="Sr.", **HOME)
    scene.person("crm_contact:2", "John", "Smith Jr", **HOME)
    scene.person("crm_contact:3", "Paul", "Jones", born="1950-03-12", **HOME)
    scene.person("crm_contact:4", "Paul", "Jones", born="1979-10-30", **HOME)
    scene.resolve()
    assert len(scene.people()) == 4


def test_a_record_without_the_suffix_is_left_to_neither_by_name_and_home(
    scene: Any,
) -> None:
    """A suffix says there are two; which one ordered is anybody's guess."""
    scene.person(
        "crm_contact:1", "John", "Smith", suffix="Sr.", email="j@a.org", **HOME
    )
    scene.person("shop_customer:1", "John", "Smith", **HOME)
    scene.person("shop_customer:2", "John", "Smith", email="j@a.org", **HOME)
    scene.resolve()
    assert together(scene, "crm_contact:1", "shop_customer:2")
    assert scene.rows(
        "select count(*) from identity.evidence where rule = 'suffix_on_one_side'"
    ) == [(1,)]


def test_a_household_is_no_person(scene: Any) -> None:
    """Last name, street and landline agree for everybody who lives there."""
    scene.person("crm_contact:1", "Grace", "Hopper", **HOME)
    scene.person("erp_kna1:1", None, "Hopper", **HOME)
    scene.resolve()
    assert len(scene.people()) == 2
    assert ("veto", "nothing_personal") in scene.rows(
        "select kind, rule from identity.evidence"
    )


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ("Keeley", "Kaylee", False),
        ("Mohd", "Muhammad", False),
        ("Keeley", "Tobias", True),
        ("Ia", "Oe", True),
        (None, "Kaylee", False),
        ("Алексей", "Aleksey", False),
        ("Борис", "Tobias", True),
        # Nothing tells whether it is one name, and a household has several.
        ("فيصل", "Faisal", True),
        ("فيصل", "محمد", True),
    ],
)
def test_names_that_differ_in_vowels_alone_are_no_contradiction(
    scene: Any, one: str | None, other: str, contradict: bool
) -> None:
    """Of two consonants or more: Ia and Oe have none that could be the same."""
    scene.connection.execute(
        "insert into reference.nickname values ('mohd', 'mohammed'), "
        "('muhammad', 'mohammed')"
    )
    scene.person("crm_contact:1", one, "Jones", email="k@b.org")
    scene.person("crm_contact:2", other, "Jones", email="k@b.org")
    scene.resolve()
    stage_compared(scene.connection, "individual", read_ruleset(), None)
    scene.connection.execute(
        "create temp table pair as select min(node_id) as node_l, "
        "max(node_id) as node_r from staged_matchable"
    )
    stage_vetoes(scene.connection, ["nothing_personal_agrees"], "pair", "found")
    assert bool(scene.rows("from found")) is contradict


@pytest.mark.parametrize(
    ("one", "other", "born", "people"),
    [
        ("Əli", "Günel", None, 2),
        ("ʻIolani", "Keoni", None, 2),  # noqa: RUF001
        ("فيصل", "Peter", None, 2),
        ("فيصل", "Faisal", "1984-05-21", 1),
        ("Борис", "Boris", None, 1),
    ],
)
def test_a_household_whose_names_are_in_two_scripts(
    scene: Any, one: str, other: str, born: str | None, people: int
) -> None:
    """Two names of which nothing can be told are one where a birthday says so."""
    for record, first in (("crm_contact:1", one), ("shop_customer:1", other)):
        scene.person(record, first, "Quimby", email="home@b.org", born=born, **HOME)
    scene.resolve()
    assert len(scene.people()) == people


def test_a_year_in_the_mailbox_tells_father_from_son(scene: Any) -> None:
    """Where neither suffix nor birthday is known, the mailbox may say it."""
    scene.person("crm_contact:1", "John", "Quimby", born="1954-05-21", email="j@a.org")
    scene.person("shop_customer:1", "John", "Quimby", email="john.quimby86@b.org")
    scene.person("shop_customer:2", "John", "Quimby", email="john.quimby54@c.org")
    scene.resolve()
    assert together(scene, "crm_contact:1", "shop_customer:2")
    assert not together(scene, "crm_contact:1", "shop_customer:1")


def test_a_customer_number_typed_into_the_crm_links(scene: Any) -> None:
    """The same number, issuer and kind; nothing else has to agree."""
    scene.person("crm_contact:1", "Ada", "Byron", number="100007")
    scene.person("erp_kna1:1", "A", "Lovelace", number="100007")
    scene.person("erp_kna1:2", "A", "Lovelace", number="100008")
    scene.resolve()
    assert together(scene, "crm_contact:1", "erp_kna1:1")
    assert not together(scene, "erp_kna1:1", "erp_kna1:2")


@pytest.mark.parametrize("born", ["1971-04-03", "1971-03-05", "1972-03-04"])
def test_a_slip_in_the_birthday_does_not_part_a_person(scene: Any, born: str) -> None:
    """Day and month swapped, one day off, one year off."""
    scene.person("crm_contact:1", "Ada", "Byron", born="1971-03-04", email="a@b.org")
    scene.person("erp_kna1:1", "Ada", "Byron", born=born, email="a@b.org")
    scene.resolve()
    assert len(scene.people()) == 1


def test_names_in_the_other_order_are_the_same_name(scene: Any) -> None:
    """Zendesk has one name field; some agents write the last name first."""
    scene.person("crm_contact:1", "Sabine", "Schmidt", phone="+4930555001", **HOME)
    scene.person("support_user:1", "Schmidt", "Sabine", phone="+4930555001")
    scene.person("crm_contact:2", "Sergio", "Jimenez Fernandez", phone="+34915550001")
    scene.person("support_user:2", "Jimenez", "Fernandez Sergio", phone="+34915550001")
    scene.resolve()
    assert scene.people() == {
        frozenset({"crm_contact:1", "support_user:1"}),
        frozenset({"crm_contact:2", "support_user:2"}),
    }


def test_a_missing_first_name_is_read_from_the_mailbox(scene: Any) -> None:
    """Brigitte Bergmann's other inbox, from a form that asks for a last name only."""
    scene.person("crm_contact:1", "Brigitte", "Wendelmuth", email="b.w@gmx.ch")
    scene.person(
        "email_subscriber:1", None, "Wendelmuth", email="brigitte.wendelmuth@web.de"
    )
    scene.person("email_subscriber:2", None, "Wendelmuth", email="xy.zq@web.de")
    scene.resolve()
    assert together(scene, "crm_contact:1", "email_subscriber:1")
    assert not together(scene, "crm_contact:1", "email_subscriber:2")


def test_eight_hundred_strangers_at_one_inbox_stay_strangers(scene: Any) -> None:
    """info@shop.com on every order of a reseller once made one person of all."""
    scene.connection.execute(
        """
        insert into dmo.individual
        select 'crm_contact:' || i, ['Ann', 'Bo', 'Cy', 'Di'][1 + i % 4], null,
            'Family' || (i // 4), null, null, null, null, null, false, 'crm',
            timestamp '2026-01-01', 1
        from range(800) t(i)
        """
    )
    scene.connection.execute(
        """
        insert into dmo.contact_point_email
        select 'crm_contact:' || i, 'crm_contact:' || i, 'info@shop.com',
            'info@shop.com', 1
        from range(800) t(i)
        """
    )
    scene.person("shop_customer:1", "Ann", "Family0", email="info@shop.com")
    outcome = scene.resolve().individual
    assert outcome.largest <= 2
    assert outcome.evidence_rows < 1000
    assert scene.rows(
        "select value, records from identity.shared_identifier "
        "where field = 'email_address'"
    ) == [("info@shop.com", 801)]


def test_an_inbox_of_one_family_is_not_taken_for_a_shared_one(scene: Any) -> None:
    """Six people in five systems make 30 records, but one last name."""
    for number in range(30):
        scene.person(f"crm_contact:{number}", None, "Hopper", email="all@hopper.org")
    scene.resolve()
    assert scene.rows("select * from identity.shared_identifier") == []


@pytest.mark.parametrize(
    "email", ["test@test.com", "noreply@acme.com", "n.a@x.com", "me@example.com"]
)
def test_placeholders_identify_nobody(scene: Any, email: str) -> None:
    """What sales types into a required field must not be a meeting point."""
    scene.person("crm_contact:1", "Ada", "Byron", email=email)
    scene.person("crm_contact:2", "Alan", "Turing", email=email)
    scene.person("crm_contact:3", email=email)
    scene.resolve()
    assert len(scene.people()) == 3


def test_a_converted_lead_is_its_contact(scene: Any) -> None:
    """The CRM linked them itself; nothing else has to agree."""
    scene.person("crm_contact:1", "Ada", "Byron")
    scene.person("crm_lead:1", None, None, email="ada@nowhere.org")
    scene.connection.execute(
        "insert into dmo.lead values ('crm_lead:1', 'crm_lead:1', 'crm_contact:1', 1)"
    )
    scene.resolve()
    assert len(scene.people()) == 1


def test_companies_are_one_by_domain_number_or_name_and_city(scene: Any) -> None:
    """Legal forms differ between CRM and ERP; free mail domains are nobody's."""
    scene.account("crm_account:1", "Acme GmbH", domain="acme.com", city="Bonn")
    scene.account("crm_account:2", "Acme Holding", domain="www.acme.com")
    scene.account("erp_kna1:1", "ACME", city="Bonn")
    scene.account("crm_account:3", "Bolt Ltd", domain="gmail.com", city="Leeds")
    scene.account("crm_account:4", "Nut Ltd", domain="gmail.com", city="Leeds")
    scene.account("erp_kna1:5", "Acme", city="Wien", country="AT")
    outcome = scene.resolve().account
    assert outcome.people == 4
    largest = scene.rows(
        "select list(record order by record) from identity.unified_link_account "
        "group by unified_account_id having count(*) = 3"
    )
    assert largest == [(["crm_account:1", "crm_account:2", "erp_kna1:1"],)]


def test_people_are_the_components_of_their_unvetoed_evidence(scene: Any) -> None:
    """Otherwise nobody could say why two records are one person."""
    for number in range(40):
        scene.person(
            f"crm_contact:{number}",
            ["Grace", "Vincent", None, "Ada"][number % 4],
            ["Hopper", "Byron", None][number % 3],
            email=f"inbox{number // 6}@x.org",
            phone=f"+120255501{number % 7:02}",
            city=["Bonn", "Berlin"][number % 2],
        )
    scene.resolve()
    scene.connection.execute(
        """
        create temp table edge as
        select node_l, node_r from identity.evidence
        group by all
        having bool_or(kind = 'rule' or match_weight >= 6)
            and not bool_or(kind = 'veto')
        """
    )
    stage_components(scene.connection, "edge", "component")
    closed = {
        frozenset(records)
        for (records,) in scene.rows(
            "select list(record) from identity.node left join component using (node_id)"
            " group by coalesce(component, node_id)"
        )
    }
    assert closed == scene.people()
    assert len(closed) < 40


def test_a_chain_too_long_to_compare_joins_no_strangers(scene: Any) -> None:
    """A thousand who share inboxes two by two, bare ones between, were one person."""
    names = [("Grace", "Hopper"), ("Vincent", "Byron"), ("Alan", "Turing")] * 4
    for number, (first, last) in enumerate(names):
        mine, next_one = f"a{number}@b.org", f"a{number + 1}@b.org"
        scene.person(f"crm_contact:{number}", first, last, email=mine)
        scene.person(f"email_subscriber:{number}", emails=[mine, next_one])
    content = yaml.safe_load(RULESET.read_text(encoding="utf-8"))
    content["individual"]["refinement"]["largest_group"] = 5
    assert scene.resolve(Ruleset.model_validate(content)).individual.groups_refined == 1
    for person in scene.people():
        named = [int(name.split(":")[1]) for name in person if "contact" in name]
        assert len({names[number] for number in named}) <= 1
