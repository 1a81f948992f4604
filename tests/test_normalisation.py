"""What the normalising macros promise for any text, on the engine that runs them.

The examples that explain each rule are dbt unit tests beside the models; here are
the properties: a normal form is its own normal form, and noise changes nothing.
"""

import csv
import datetime as dt
import re
import string
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.paths import DBT_PROJECT

MACROS = (
    "normalise_email",
    "email_match_form",
    "clean_name",
    "clean_text",
    "fold",
    "normalise_address_line",
    "normalise_city",
    "parse_sap_date",
    "sap_customer_number",
    "website_domain",
)
Apply = Callable[[str, str | None], Any]

words = st.text(string.ascii_letters + "éÜßøŁ", min_size=1, max_size=8)
addresses = st.builds(
    "{}@{}.{}".format,
    st.from_regex(r"[a-z0-9]{1,8}([.+_-][a-z0-9]{1,8}){0,2}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    st.sampled_from(["com", "co.uk", "de", "example"]),
)
noise = st.sampled_from([" ", "\t", "\u00a0", "\ufeff", '"', "'", "<", ">", "(", ")"])


@pytest.mark.parametrize("macro", MACROS)
def test_nothing_stays_nothing(apply: Apply, macro: str) -> None:
    """An empty string that survives joins every other empty string."""
    assert apply(macro, None) is None
    if macro != "email_match_form" and macro != "fold":
        assert apply(macro, "") is None
        assert apply(macro, " \u00a0\t") is None


@given(text=st.text(max_size=20))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize(
    "macro",
    ["normalise_email", "clean_text", "clean_name", "fold", "normalise_address_line"],
)
def test_a_normal_form_is_its_own(apply: Apply, macro: str, text: str) -> None:
    """A form that changes when applied twice differs between full and partial runs."""
    once = apply(macro, text.replace("\0", ""))
    assert once is None or apply(macro, once) == once


@given(address=addresses, before=st.lists(noise), after=st.lists(noise))
@settings(max_examples=60, deadline=None)
def test_noise_around_an_address_changes_nothing(
    apply: Apply, address: str, before: list[str], after: list[str]
) -> None:
    """The same person typed into two systems would be two people."""
    typed = "".join(before) + address.upper() + "".join(after)
    assert apply("normalise_email", typed) == address


@given(text=st.text(string.ascii_letters + "@.<> ,;'\"", max_size=20))
@settings(max_examples=60, deadline=None)
def test_what_passes_as_an_address_is_one(apply: Apply, text: str) -> None:
    """A false address bounces, and enough bounces block the sender."""
    address = apply("normalise_email", text)
    assert address is None or re.fullmatch(
        r"[^@\s<>,;\"]+@[^@\s.]+(\.[^@\s.]+)+", address
    )


@given(
    box=st.from_regex(r"[a-z0-9]{2,12}", fullmatch=True),
    dot=st.integers(0, 12),
    tag=st.sampled_from(["", "+news", "+a.b", "++"]),
    domain=st.sampled_from(["gmail.com", "googlemail.com"]),
)
@settings(max_examples=60, deadline=None)
def test_every_spelling_of_a_gmail_inbox_compares_equal(
    apply: Apply, box: str, dot: int, tag: str, domain: str
) -> None:
    """Customers register twice with different spellings of one inbox."""
    dotted = box[:dot] + "." + box[dot:] if 0 < dot < len(box) else box
    assert apply("email_match_form", f"{dotted}{tag}@{domain}") == f"{box}@gmail.com"


@given(name=words)
@settings(max_examples=60, deadline=None)
def test_composed_and_decomposed_names_are_one(apply: Apply, name: str) -> None:
    """Both look alike on screen and differ in every comparison."""
    decomposed = unicodedata.normalize("NFD", name)
    assert apply("clean_name", decomposed) == apply("clean_name", name)


@given(date=st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)))
@settings(max_examples=30, deadline=None)
def test_every_sap_date_is_read(apply: Apply, date: dt.date) -> None:
    """A date read with day and month swapped is another person's birthday."""
    assert apply("parse_sap_date", date.strftime("%Y%m%d")) == date


@given(number=st.integers(1, 10**10 - 1), zeros=st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_zeros_in_front_do_not_change_a_customer_number(
    apply: Apply, number: int, zeros: int
) -> None:
    """Sales staff type the number without the zeros SAP keeps."""
    typed = "0" * zeros + str(number)
    assert apply("sap_customer_number", typed) == f"{number:010d}"


@given(street=words, number=st.integers(1, 999))
@settings(max_examples=30, deadline=None)
def test_the_place_of_the_house_number_does_not_matter(
    apply: Apply, street: str, number: int
) -> None:
    """Most of Europe writes it behind the street, most of the rest before it."""
    behind = apply("normalise_address_line", f"{street} {number}")
    assert apply("normalise_address_line", f"{number}, {street.upper()}") == behind


@pytest.mark.parametrize(
    ("short", "full"),
    [("bob", "robert"), ("pepe", "jose"), ("gosia", "malgorzata"), ("uwe", None)],
)
def test_a_short_form_leads_to_its_full_name(short: str, full: str | None) -> None:
    """Bob and Robert at one address would stay two people."""
    with (DBT_PROJECT / "seeds" / "nickname.csv").open(encoding="utf-8") as file:
        canonical = {row["name"]: row["canonical"] for row in csv.DictReader(file)}
    assert canonical.get(short) == full
    assert canonical.keys().isdisjoint(canonical.values())
