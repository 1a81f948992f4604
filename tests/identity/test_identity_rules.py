"""The ruleset: what it may say, and what its methods mean."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_assets.declarations import DeclarationError
from cdp_assets.identity.folding import define_macros
from cdp_assets.identity.reconciliation import compile_reconciliation
from cdp_assets.identity.rules import RULESET, Ruleset, read_ruleset


def shipped() -> dict[str, Any]:
    return dict(yaml.safe_load(RULESET.read_text(encoding="utf-8")))


def only(*criteria: dict[str, Any], **more: Any) -> Ruleset:
    """The shipped ruleset with one match rule, and no model that sees more."""
    content = shipped()
    individual = content["individual"]
    individual["match_rules"] = {"only": {"criteria": list(criteria)}}
    individual["cannot_link"] = []
    del individual["model"], individual["costs"]
    individual["gates"] |= {"consolidation_change": 1, "ids_changed": 1}
    individual.update(more)
    return Ruleset.model_validate(content)


def test_the_shipped_ruleset_has_the_articles_three_rules() -> None:
    """They are what a reader of the article looks for, under these names."""
    rules = read_ruleset().individual.match_rules
    said = {
        name: [(each.field, each.method.split("_")[0]) for each in rule.criteria]
        for name, rule in rules.items()
    }
    assert said["email"] == [("email_address", "exact")]
    assert said["phone_and_last_name"] == [
        ("telephone_number", "exact"),
        ("last_name", "exact"),
    ]
    assert said["fuzzy_name_and_city"] == [
        ("first_name", "fuzzy"),
        ("last_name", "exact"),
        ("city_name", "exact"),
    ]


@pytest.mark.parametrize(
    ("path", "value", "remedies"),
    [
        (
            ["individual", "match_rules", "email", "criteria", 0, "field"],
            "e_mail",
            ["'email'", "no field 'e_mail'", "email_address"],
        ),
        (
            ["individual", "match_rules", "email", "criteria", 0, "method"],
            "fuzzy_high",
            ["'email'", "email_address", "use one of exact, exact_normalised"],
        ),
        (
            ["individual", "match_rules", "email", "criteria", 0, "method"],
            "soundex",
            ["criteria.0.method", "exact_normalised"],
        ),
        (
            ["individual", "match_rules", "email", "criteria", 0, "match_on_blank"],
            True,
            ["'email'", "without match_on_blank"],
        ),
        (
            ["individual", "match_rules", "email", "criteria", 0, "case_sensitive"],
            True,
            ["case_sensitive", "names, streets and cities"],
        ),
        (
            ["individual", "match_rules", "name_alone"],
            {"criteria": [{"field": "first_name", "method": "fuzzy_low"}]},
            ["'name_alone'", "compared with every other"],
        ),
        (
            ["individual", "model", "keep_weight"],
            9,
            ["keep_weight 9", "link_weight"],
        ),
        (
            ["individual", "model", "blocking"],
            [{"fields": ["surname"]}],
            ["model.blocking", "'surname'", "last_name"],
        ),
        (
            ["individual", "blocked", "email_address", "patterns"],
            ["(?=a)@.*"],
            ["RE2", "(?=a)@.*"],
        ),
        (
            ["individual", "blocked", "email_address", "patterns"],
            ["(@.*"],
            ["no regular expression"],
        ),
        (["individual", "shared"], {"mail": {}}, ["shared.mail.records"]),
        (
            ["individual", "cannot_link"],
            ["ages_conflict"],
            ["cannot_link.0", "birth_dates_conflict"],
        ),
        (["individual", "gates", "largest_person"], 1, ["greater than or equal to 2"]),
        (["individual", "threshold"], 1, ["threshold: unknown key"]),
        (
            ["account", "cannot_link"],
            ["suffixes_conflict"],
            ["account.cannot_link", "neither birth dates"],
        ),
        (
            ["account", "match_rules", "website_domain", "overruled_below"],
            0,
            ["'website_domain'", "overruled_below needs a model"],
        ),
        (
            ["reconciliation", "individual", "title_name"],
            {"method": "source_priority"},
            ["source_priority", "lists its sources"],
        ),
    ],
)
def test_an_impossible_ruleset_is_refused_with_the_remedy(
    tmp_path: Path, path: list[Any], value: Any, remedies: list[str]
) -> None:
    """Half a run later it would be a stack trace, or silently nobody would match."""
    content = shipped()
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(DeclarationError) as refused:
        read_ruleset(file)
    assert str(refused.value).startswith("mine.yaml: ")
    for remedy in remedies:
        assert remedy in str(refused.value)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "field: first_name, method: fuzzy_medium",
            "field: first_name, method: fuzzy_lo",
            "individual.match_rules.fuzzy_name_and_city.criteria.0.method: 'fuzzy_lo' "
            "is none of exact, exact_normalised, fuzzy_low, fuzzy_medium or "
            "fuzzy_high; did you mean 'fuzzy_low'?",
        ),
        (
            "field: first_name, method: fuzzy_medium",
            "field: birthdate, method: exact",
            "individual.match_rules.fuzzy_name_and_city.criteria.0.field: match rule "
            "'fuzzy_name_and_city': no field 'birthdate'; did you mean 'birth_date'?",
        ),
        (
            "fields: [mailbox]",
            "fields: [mailboxx]",
            "individual.model.blocking.3.fields: model.blocking ['mailboxx']: no field "
            "'mailboxx'; did you mean 'mailbox'?",
        ),
        (
            "sources: [erp, crm]",
            "sources: [erp, crmm]",
            "reconciliation.account.*.sources: no stream or system 'crmm'; did you "
            "mean 'crm'?",
        ),
    ],
)
def test_a_mistyped_ruleset_is_told_where_and_what_was_meant(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    """Pydantic's own words name the classes of our code, and no line of the file."""
    text = RULESET.read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(DeclarationError) as refused:
        read_ruleset(file)
    assert message in str(refused.value)
    line = text[: text.index(right)].count("\n") + 1
    if "reconciliation" not in message:
        assert str(refused.value).startswith(f"mine.yaml: line {line}: ")


@pytest.mark.parametrize(
    ("left", "right", "methods"),
    [
        ("Anna", "ANNA", {"exact", "exact_normalised", "high", "medium", "low"}),
        ("Håkon", "Hakon", {"exact_normalised", "high", "medium", "low"}),
        ("Mary-Jo", "MaryJo", {"high", "medium", "low"}),
        ("William", "Bill", {"high", "medium", "low"}),
        ("S.", "Sharon", {"medium", "low"}),
        ("Anna Maria", "Maria", {"medium", "low"}),
        ("Joey James", "James Joey", {"medium", "low"}),
        ("Micheal", "Michael", {"high", "medium", "low"}),
        ("Lisa", "Liza", {"low"}),
        ("Anna", "Peter", set()),
    ],
)
def test_each_method_takes_what_the_documentation_says(
    scene: Any, left: str, right: str, methods: set[str]
) -> None:
    """A user who moves a ruleset over expects the same pairs to match."""
    for record, name in (("crm_contact:1", left), ("crm_contact:2", right)):
        scene.person(record, name, "Ng", city="Bonn")
    taken = set()
    for method in (
        "exact",
        "exact_normalised",
        "fuzzy_high",
        "fuzzy_medium",
        "fuzzy_low",
    ):
        scene.resolve(
            only(
                {"field": "first_name", "method": method},
                {"field": "city_name", "method": "exact"},
            )
        )
        if len(scene.people()) == 1:
            taken.add(method.removeprefix("fuzzy_"))
    assert taken == methods


def test_blank_matches_blank_only_where_the_rule_says_so(scene: Any) -> None:
    """Two records without a city would otherwise be neighbours."""
    scene.person("crm_contact:1", "Anna", "Ng")
    scene.person("crm_contact:2", "Anna", "Ng")
    city = {"field": "city_name", "method": "exact"}
    name = {"field": "last_name", "method": "exact"}
    scene.resolve(only(name, city))
    assert len(scene.people()) == 2
    scene.resolve(only(name, {**city, "match_on_blank": True}))
    assert len(scene.people()) == 1


def test_case_counts_only_where_the_rule_says_so(scene: Any) -> None:
    """Salesforce's switch: exact forgives capitals unless it is on."""
    scene.person("crm_contact:1", "Anna", "Dewitt", city="Bonn")
    scene.person("crm_contact:2", "Anna", "DeWitt", city="BONN")
    city = {"field": "city_name", "method": "exact"}
    name = {"field": "last_name", "method": "exact"}
    scene.resolve(only(name, city))
    assert len(scene.people()) == 1
    scene.resolve(only({**name, "case_sensitive": True}, city))
    assert len(scene.people()) == 2


@pytest.mark.parametrize(
    ("macro", "spellings"),
    [
        ("fold_name", ["Müller", "MUELLER", "Muller", " müller "]),
        ("fold_name", ["Ødegård", "Odegard", "Oedegaard"]),
        ("fold_name", ["O'Brien", "O\u2019Brien", "OBRIEN"]),
        ("fold_name", ["Groß", "Gross"]),
        ("fold_name", ["Алексей Павлов", "Aleksey Pavlov", "АЛЕКСЕЙ ПАВЛОВ"]),
        ("fold_name", ["Γιώργος Μαρής", "Giorgos Maris"]),
        ("fold_name", ["Łukasz Żółć", "Lukasz Zolc"]),
        ("fold_name", ["김민준", "gimminjun"]),
        ("fold_name", ["Əli", "əli", "Eli"]),
        ("fold_name", ["ʻIolani", "Iolani"]),  # noqa: RUF001
        ("fold_name", ["Сергей", "Серге\u0438\u0306", "Sergey"]),  # noqa: RUF001
        ("fold_name", ["ﾊﾞﾊﾞ", "ババ", "baba"]),
        ("fold_name", ["Ａｎｎａ", "Anna"]),  # noqa: RUF001
        ("fold_suffix", ["Jr.", "junior", "JR"]),
        ("fold_street", ["Hauptstraße 5", "Hauptstr. 5", "hauptstrasse 5"]),
        ("fold_company", ["Söhne GmbH & Co. KG", "SOEHNE", "Söhne AG"]),
        ("fold_company", ["Roma S.p.A.", "Roma SpA", "The Roma Company"]),
        ("fold_domain", ["https://www.Acme.com/about?x", "acme.com"]),
        ("name_sound", ["catherine", "katherine", "kathherine"]),
    ],
)
def test_spellings_of_one_value_fold_into_one(
    scene: Any, macro: str, spellings: list[str]
) -> None:
    """Every system spells them its own way."""
    define_macros(scene.connection)
    folded = scene.rows(
        f"select distinct {macro}(value) from unnest(?::varchar[]) as t(value)",
        spellings,
    )
    assert len(folded) == 1
    assert folded[0][0]


def test_what_is_read_alike_and_written_otherwise_stays_two(scene: Any) -> None:
    """The pinyin of 王杰 and 汪洁 is one; فيصل without its vowels is fysl."""
    define_macros(scene.connection)
    define_macros(scene.connection)
    folded = scene.rows(
        "select fold_name(value) from unnest(?::varchar[]) as t(value)",
        ["王杰", "汪洁", "王杰 Иван", "فيصل", None, ""],
    )
    assert folded == [("王杰",), ("汪洁",), ("王杰 ivan",), ("فيصل",), (None,), (None,)]


def test_a_text_that_is_no_name_keeps_nobody_waiting(scene: Any) -> None:
    """A note of 600,000 letters that was typed into the field of a name."""
    define_macros(scene.connection)
    sound = scene.rows("select name_sound(fold_name(repeat('Note x', 100000)))")[0][0]
    assert 0 < len(sound) <= 200


def test_a_name_is_blocked_as_it_is_written(scene: Any) -> None:
    """Whoever blocks it need not know how it is compared."""
    content = shipped()
    content["individual"]["blocked"]["last_name"] = {"values": ["Неизвестно", "Öde"]}
    scene.person("crm_contact:1", "Anna", "неизвестно")
    scene.person("crm_contact:2", "Anna", "Öde")
    scene.person("crm_contact:3", "Anna", "Moravec")
    scene.resolve(Ruleset.model_validate(content))
    assert scene.rows(
        "select last_name from identity.matchable_individual order by record"
    ) == [(None,), (None,), ("moravec",)]


def test_reconciliation_is_compiled_in_order_and_rewritten_only_on_change(
    scene: Any,
) -> None:
    """The dbt macro reads this table; its order is the ruleset's."""
    ruleset = read_ruleset()
    compile_reconciliation(scene.connection, ruleset)
    rows = scene.rows(
        "select source, priority from identity.reconciliation_rule "
        "where object = 'individual' and field = '*' order by priority"
    )
    declared = ruleset.reconciliation["individual"]["*"].sources
    assert rows == [(source, place) for place, source in enumerate(declared, start=1)]
    before = scene.rows("select rowid, * from identity.reconciliation_rule")
    compile_reconciliation(scene.connection, ruleset)
    assert scene.rows("select rowid, * from identity.reconciliation_rule") == before
