"""Salesforce: a tree of contacts and cases as its own tool exports it."""

import json
from pathlib import Path

import phonenumbers
import pytest

from tests.exports.overlay import Export, harmonise

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("salesforce")]


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    return test_data / "sources" / "salesforce_coral_cloud" / "data"


@pytest.fixture(scope="module")
def coral(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    files = {
        "coral_contact": {"contacts.json": folder / "data-Contact-large.json"},
        "coral_case": {"cases.json": folder / "data-Case.json"},
    }
    return harmonise("salesforce_coral", tmp_path_factory.mktemp("coral"), files)


def test_every_contact_is_a_person_with_an_address(coral: Export) -> None:
    assert coral.loads["coral_contact"].inserted == 992
    assert coral.loads["coral_contact"].quarantined == 0
    # 26 guests were born in 2042 to 2044, one gave no date, and one is called Guest.
    assert coral.ask(
        "select count(*), count(birth_date), count(last_name) from dmo.individual"
    ) == [(992, 965, 991)]
    assert coral.one("select count(*) from dmo.contact_point_email") == 992
    # The seed knows every state the guests come from.
    assert coral.ask(
        """
        select count(*), count(state_province_id), count(distinct state_province_id)
        from dmo.contact_point_address where country_id = 'US'
        """
    ) == [(991, 991, 49)]


def test_every_number_has_its_form_or_its_reason(coral: Export) -> None:
    """The numbers are made up: who dials 196 dials nobody."""
    rows = coral.ask(
        """
        select telephone_number, formatted_e164_phone_number, invalid_reason
        from dmo.contact_point_phone
        """
    )
    assert len(rows) == 991
    for number, e164, reason in rows:
        parsed = phonenumbers.parse(number, "US")
        assert (e164 is not None) == phonenumbers.is_valid_number(parsed), number
        assert (e164 is None) == (reason is not None)
    assert sum(e164 is not None for _, e164, _ in rows) == 442


def test_a_case_finds_its_guest_by_reference(coral: Export, folder: Path) -> None:
    tree = json.loads((folder / "data-Contact-large.json").read_text())["records"]
    (guest,) = [
        record["Email"]
        for record in tree
        if record["attributes"]["referenceId"] == "ContactRef155"
    ]
    assert (
        coral.ask('select individual_id, case_status_id, is_open from dmo."case"')
        == [(f"coral_contact:{guest}", "new", True)] * 2
    )
    assert coral.warnings == []
