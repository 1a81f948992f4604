"""The normalisers against cases that others publish, with every departure named.

Phones: the example numbers of libphonenumber's metadata. E-mail: validator.js.
Countries, states, nicknames: lists that other projects keep. Names and addresses: the
examples in Data Cloud's description of its match rules. Dates: RFC 3339 and SAP.
"""

import csv
import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pytest

from cdp_assets.paths import DBT_PROJECT
from cdp_assets.streams.reference import country_aliases, normalise_phone

Apply = Callable[[str, str | None], Any]

# Of 1,144 examples (the file is of an older release than the library) as their country
# writes them, and in the international form.
PLAN_CHANGED = {"BJ": 2, "ZW": 1}
PLACEHOLDERS = {
    "01 23 45 67 89", "01 23 45 6789", "01 234 567", "01 2345 678", "01 234 5678",
    "(01) 234 56 78", "012 34567", "012 34 56 78", "012-345 6789", "12 345 67 89",
    "2 345 678", "234 5678", "234 56 78",
}  # fmt: skip
OUTLOOK, ICLOUD, YAHOO = "outlook.com's +tags", "icloud.com's +tags", "yahoo's -tags"
YANDEX = "yandex's many domains for one inbox"
NO_ADDRESS = "two dots or an unescaped quote: no address, so nothing to send to"
# Ours folds what Data Cloud folds, gmail; who needs the others adds them to one macro.
EMAIL_DEPARTURES = {
    '"foo@bar"@baz.com': (None, NO_ADDRESS),
    "matthew..example@gmail.com": (None, NO_ADDRESS),
    "some.name..multiple@gmail.com": (None, NO_ADDRESS),
    "some.name.midd..leNa...me...+extension@GoogleMail.com": (None, NO_ADDRESS),
    "foo+bar@live.fr": ("foo+bar@live.fr", OUTLOOK),
    "foo+bar@hotmail.co.uk": ("foo+bar@hotmail.co.uk", OUTLOOK),
    "foo+bar@me.com": ("foo+bar@me.com", ICLOUD),
    "foo+bar@icloud.com": ("foo+bar@icloud.com", ICLOUD),
    "foo-bar@yahoo.com": ("foo-bar@yahoo.com", YAHOO),
    "test@ya.ru": ("test@ya.ru", YANDEX),
    "test@yandex.kz": ("test@yandex.kz", YANDEX),
    "test@yandex.ua": ("test@yandex.ua", YANDEX),
    "test@yandex.com": ("test@yandex.com", YANDEX),
    "test@yandex.by": ("test@yandex.by", YANDEX),
}


@pytest.fixture(scope="module")
def published(test_data: Path) -> Path:
    return test_data / "normalisation"


def example_numbers(published: Path) -> Iterator[tuple[str, phonenumbers.PhoneNumber]]:
    """Region, or '' for a network of no country, and number."""
    metadata = ET.parse(  # noqa: S314 a file of ours
        published / "PhoneNumberMetadata.xml"
    )
    for territory in metadata.iter("territory"):
        region = territory.attrib["id"]
        for example in territory.iter("exampleNumber"):
            number = f"+{territory.attrib['countryCode']}{(example.text or '').strip()}"
            yield "" if region == "001" else region, phonenumbers.parse(number)


def written(number: phonenumbers.PhoneNumber, form: int) -> str:
    return phonenumbers.format_number(number, form)


def test_example_numbers_in_the_international_form(published: Path) -> None:
    """It needs no country; also with 00 for the plus."""
    missed: Counter[str] = Counter()
    tried = 0
    for region, number in example_numbers(published):
        tried += 1
        e164 = written(number, phonenumbers.PhoneNumberFormat.E164)
        spaced = written(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        found = {
            normalise_phone(text, "").e164
            for text in (e164, spaced, e164.replace("+", "00", 1))
        }
        assert found in ({e164}, {None}), e164
        missed[region] += found == {None}
    assert tried > 1_000
    assert +missed == PLAN_CHANGED


def test_example_numbers_as_their_country_writes_them(published: Path) -> None:
    """A list of misses with the reason of each; a new one would be a number lost."""
    missed: Counter[str] = Counter()
    placeholders = set()
    for region, number in example_numbers(published):
        if not region:
            continue  # Satellites and freephone of the world: no country writes them.
        text = written(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        found = normalise_phone(text, region)
        if found.reason == "a placeholder":
            placeholders.add(text)
        elif found.e164 != written(number, phonenumbers.PhoneNumberFormat.E164):
            missed[region] += 1
    assert missed == PLAN_CHANGED
    assert placeholders == PLACEHOLDERS


def email_cases(published: Path) -> Iterator[tuple[str, str | None]]:
    """The cases of validator.js with its options as they are by default, or all on."""
    text = (published / "validatorjs_sanitizers.test.js.txt").read_text("utf-8")
    for test in text.split("test({")[1:]:
        if "sanitizer: 'normalizeEmail'" not in test:
            continue
        options, expected = test.split("expect: {")
        if "false" in options and "all_lowercase: true" not in options:
            continue
        for typed, form in re.findall(r"'([^']+)': (?:'([^']+)'|false)", expected):
            yield typed, form or None


def test_emails_of_validator_js(apply: Apply, published: Path) -> None:
    cases = dict(email_cases(published))
    assert len(cases) > 40
    found = {
        typed: apply("email_match_form", apply("normalise_email", typed))
        for typed in cases
    }
    departures = {typed: form for typed, form in found.items() if form != cases[typed]}
    assert departures == {typed: form for typed, (form, _) in EMAIL_DEPARTURES.items()}


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        ("Ada.Lovelace@Example.COM", "ada.lovelace@example.com"),
        ("  ada@example.com\t", "ada@example.com"),
        ('"ada@example.com"', "ada@example.com"),
        ("[ada@example.com]", "ada@example.com"),
        ("(ada@example.com)", "ada@example.com"),
        ("Ada Lovelace <ada@example.com>", "ada@example.com"),
        ("mailto:ada@example.com", "ada@example.com"),
        # Data Cloud takes the plus sign away and leaves the tag; gmail ignores the tag.
        ("a.da+news@gmail.com", "ada@gmail.com"),
        ("a.da+news@example.com", "a.da+news@example.com"),
    ],
)
def test_emails_as_data_cloud_normalises_them(
    apply: Apply, typed: str, form: str
) -> None:
    assert apply("email_match_form", apply("normalise_email", typed)) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12 Avenue West", "12 Ave W"),
        ("12 North Main Street", "12 N. Main St."),
        ("Calle Mayor 5", "5 Calle Mayor"),
        ("C. Mayor, 5", "Calle Mayor 5"),
        ("Hauptstraße 7", "Hauptstr. 7"),
        ("Rua Augusta, 100", "R. Augusta 100"),
        ("18 Boulevard Voltaire", "18 bd. Voltaire"),
        ("P.O. Box 12", "PO Box 12"),
        ("Flat 3, 7 Kings Road", "FLAT 3 7 KINGS RD"),
    ],
)
def test_address_lines_that_data_cloud_holds_equal(
    apply: Apply, one: str, other: str
) -> None:
    found = apply("normalise_address_line", one)
    assert found is not None
    assert apply("normalise_address_line", other) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [("12 Ave W", "12 Ave E"), ("5 High St", "5 High Rd"), ("1 Main St", "11 Main St")],
)
def test_address_lines_of_two_places_stay_two(
    apply: Apply, one: str, other: str
) -> None:
    assert apply("normalise_address_line", one) != apply(
        "normalise_address_line", other
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("Håkon", "Hakon"), ("José", "JOSE"), ("Łukasz", "Lukasz"), ("Strauß", "STRAUSS")],
)
def test_names_that_differ_in_marks_alone_fold_to_one(
    apply: Apply, one: str, other: str
) -> None:
    assert apply("fold", apply("clean_name", one)) == apply(
        "fold", apply("clean_name", other)
    )


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("1985-04-12T23:20:50.52Z", dt.datetime(1985, 4, 12, 23, 20, 50, 520_000)),
        ("1996-12-19T16:39:57-08:00", dt.datetime(1996, 12, 20, 0, 39, 57)),
        ("1937-01-01T12:00:27.87+00:20", dt.datetime(1937, 1, 1, 11, 40, 27, 870_000)),
        ("2008-01-10T11:00:00-05:00", dt.datetime(2008, 1, 10, 16)),
        ("2026-02-30T00:00:00Z", None),
        ("yesterday", None),
    ],
)
def test_instants_of_rfc_3339(
    apply: Apply, written: str, utc: dt.datetime | None
) -> None:
    assert apply("parse_timestamp", written) == utc


@pytest.mark.parametrize(
    ("macro", "written", "date"),
    [
        ("parse_sap_date", "20111201", dt.date(2011, 12, 1)),
        ("parse_sap_date", "00000000", None),
        ("parse_sap_date", "20260230", None),
        ("parse_us_date", "5/14/1965", dt.date(1965, 5, 14)),
        ("parse_us_date", "04/08/1966", dt.date(1966, 4, 8)),
        ("parse_us_date", "14/5/1965", None),
    ],
)
def test_dates_of_sap_and_of_us_exports(
    apply: Apply, macro: str, written: str, date: dt.date | None
) -> None:
    assert apply(macro, written) == date


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.DictReader(source))


def test_every_country_is_known_by_its_names_and_codes(
    apply: Apply, published: Path
) -> None:
    aliases = country_aliases()
    kinds = ("country_name", "alternative_country_name", "country_code_alpha_2",
             "country_code_alpha_3")  # fmt: skip
    spellings = {
        row[kind]: row["country_code_alpha_2"]
        for row in rows(published / "customer360__country_codes.csv")
        for kind in kinds
        if row[kind]
    }
    wrong = {
        spelling
        for spelling, code in spellings.items()
        if aliases.get(apply("fold", apply("clean_text", spelling))) != code
    }
    assert len(spellings) > 700
    # In a country field NA is "not available" a thousand times before it is Namibia.
    assert wrong == {"NA"}


# What the list shortens, or holds for states beside ISO 3166-2.
STATES_MISSED = {
    "US": {"Trust Territories", "Armed Forces America", "Armed Forces Europe",
           "Armed Forces Pacific", "Northern Mariana Isl", "No Plate", "Paper Plate"},
    "CA": {"Newfoundland (old)", "Newfoundland & Labr.", "Northwest Terr."},
    "AU": {"Aust Capital Terr"},
    "DE": {"Nrth Rhine Westfalia", "Mecklenburg-Vorpomm."},
    "BR": {"Amazon"},
    "AT": set(),
    "CH": set(),
}  # fmt: skip


def test_states_are_known_by_their_names(apply: Apply, published: Path) -> None:
    """Of the seven countries in the seed; elsewhere a state stays as typed."""
    seed = rows(DBT_PROJECT / "seeds" / "state_province.csv")
    aliases = {(row["country_id"], row["alias"]) for row in seed}
    assert {country for country, _ in aliases} == STATES_MISSED.keys()
    missed: dict[str, set[str]] = {country: set() for country in STATES_MISSED}
    for row in rows(published / "customer360__state_territory_codes.csv"):
        country, name = row["alpha2_country_code"], row["state_territory"]
        if country in missed and (country, apply("fold_words", name)) not in aliases:
            missed[country].add(name)
    assert missed == STATES_MISSED


def test_short_names_lead_where_others_say(published: Path) -> None:
    """A short form of several names leads to one of them, the commonest."""
    with (DBT_PROJECT / "seeds" / "nickname.csv").open(encoding="utf-8") as file:
        canonical = {row["name"]: row["canonical"] for row in csv.DictReader(file)}
    meant: dict[str, set[str]] = {}
    for row in rows(published / "nicknames_carltonnorthern.csv"):
        meant.setdefault(row["name2"], set()).add(row["name1"])

    def full(name: str) -> str:
        return canonical.get(name, name)

    known = {short: names for short, names in meant.items() if short in canonical}
    agreed = {s for s, names in known.items() if full(s) in map(full, names)}
    assert full("bill") == full("william")
    assert full("pepe") == full("jose")
    assert len(known) > 390
    assert len(agreed) / len(known) > 0.87, sorted(set(known) - agreed)
