"""Reference: phone numbers are worked out once, with the country they were typed in."""

import json
from pathlib import Path

import pytest

from cdp_assets.digests import digest
from cdp_assets.streams import reference
from cdp_assets.streams.dlo import ensure_tables
from cdp_assets.streams.reference import (
    Phone,
    country_aliases,
    normalise_phone,
    refresh_phones,
)
from cdp_assets.streams.spec import load_streams


@pytest.mark.parametrize(
    ("number", "hint", "e164"),
    [
        ("030 1234567", "DE", "+49301234567"),
        ("+49 (0)30 / 123 45 67", "", "+49301234567"),
        ("0049 30 1234567", "", "+49301234567"),
        ("0044 20 7946 0958", "DE", "+442079460958"),
        ("(917) 758-6670", "US", "+19177586670"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("06 37007358", "IT", "+390637007358"),
        ("79 123 45 67", "CH", "+41791234567"),
        ("090-1234-5678", "JP", "+819012345678"),
        ("ext. 030 1234567", "DE", "+49301234567"),
    ],
)
def test_a_number_is_read_as_its_country_writes_it(number, hint, e164):
    assert normalise_phone(number, hint).e164 == e164


def test_a_number_with_a_code_is_of_that_country_whatever_the_hint():
    found = normalise_phone("+33 6 12 34 56 78", "DE")

    assert found == Phone("+33612345678", "FR", None)


@pytest.mark.parametrize(
    ("number", "hint", "reason"),
    [
        ("n/a", "DE", "no digits"),
        ("", "", "no digits"),
        ("000-0000", "US", "a placeholder"),
        ("1111111111", "US", "a placeholder"),
        ("123456789", "DE", "a placeholder"),
        ("030 1234567", "", "no country code and no country known"),
        ("+1 20734", "", "too short"),
        ("+49 30 123456789012345", "", "too long"),
        ("+999 123456", "", "not a phone number"),
        ("+1 000 555 1234", "", "no number of +1 begins like this"),
    ],
)
def test_what_is_no_number_says_why(number, hint, reason):
    assert normalise_phone(number, hint) == Phone(None, None, reason)


def contact(loading, id_, country, phone, mobile=""):
    rows = f'{id_},{country},{phone},"{mobile}",2026-01-01\n'
    loading.load(
        load_streams()["crm_contact"],
        f"Id,MailingCountry,Phone,MobilePhone,SystemModstamp\n{rows}".encode(),
        name="contacts.csv",
    )


def phones(loading):
    return loading.rows(
        "select raw, country_hint, e164 from reference.phone order by raw, country_hint"
    )


def test_the_country_as_typed_decides_what_digits_mean(loading):
    contact(loading, 1, "Österreich", "0664 1234567")
    contact(loading, 2, " U.S.A. ", "(917) 758-6670")
    contact(loading, 3, "Nowhere", "0664 1234567")

    refresh_phones(loading.connection)

    assert phones(loading) == [
        ("(917) 758-6670", "US", "+19177586670"),
        ("0664 1234567", "", None),
        ("0664 1234567", "AT", "+436641234567"),
    ]


def test_every_column_with_numbers_is_read(loading):
    specs = load_streams()
    ensure_tables(loading.connection, specs.values())
    places = [(spec, place) for spec in specs.values() for place in spec.phones]
    assert len(places) > 10
    for order, (spec, place) in enumerate(places):
        field, _, key = place.number.partition(".")
        number = f"+49 30 12345{order:02d}"
        loading.connection.execute(
            f"""
            insert into dlo.{spec.name} ("{field}", _is_deleted, _load_seq)
            values (?, false, 1)
            """,
            [json.dumps({key: number, "country_code": "DE"}) if key else number],
        )
    loading.connection.execute(
        "update dlo.consent_log set contact_point_type = ' Phone'"
    )

    refresh_phones(loading.connection)

    found = {raw for raw, _, _ in phones(loading)}
    assert found == {f"+49 30 12345{i:02d}" for i in range(len(places))}


def test_what_is_no_number_by_the_declaration_is_left_out(loading):
    ensure_tables(loading.connection, load_streams().values())
    loading.connection.execute(
        """
        insert into dlo.consent_log
            (contact_point_value, contact_point_type, _is_deleted, _load_seq)
        values ('ada@example.com', 'email', false, 1)
        """
    )

    assert refresh_phones(loading.connection).new == 0


def test_only_new_pairs_are_worked_out(loading):
    contact(loading, 1, "DE", "030 1234567")
    first = refresh_phones(loading.connection)
    before = digest(loading.connection, "reference.phone")

    second = refresh_phones(loading.connection)

    assert (first.new, first.valid, second.new) == (1, 1, 0)
    assert digest(loading.connection, "reference.phone") == before


def test_only_what_was_loaded_since_is_looked_through(loading):
    """A hundred thousand wrong numbers would otherwise be compared at every wave."""
    contact(loading, 1, "DE", "030 1234567")
    refresh_phones(loading.connection)
    loading.connection.execute("delete from reference.phone")
    contact(loading, 2, "DE", "030 7654321")

    assert refresh_phones(loading.connection).new == 1
    assert phones(loading) == [("030 7654321", "DE", "+49307654321")]


def test_a_place_that_is_declared_later_is_looked_through_from_the_start(loading):
    contact(loading, 1, "DE", "030 1234567", mobile="0170 1234567")
    spec = load_streams()["crm_contact"]
    only_phone = spec.model_copy(update={"phones": spec.phones[:1]})

    assert refresh_phones(loading.connection, [only_phone]).new == 1
    assert refresh_phones(loading.connection, [spec]).new == 1


def test_a_new_version_of_the_normaliser_works_every_number_out_again(loading):
    contact(loading, 1, "DE", "030 1234567")
    refresh_phones(loading.connection)
    loading.connection.execute("update reference.phone set normaliser_version = 'old'")

    assert refresh_phones(loading.connection).new == 1
    assert loading.rows(
        "select count(*), min(normaliser_version) from reference.phone"
    ) == [(1, reference.normaliser_version())]


def test_numbers_of_deleted_records_are_not_worked_out(loading):
    contact(loading, 1, "DE", "030 1234567")
    loading.connection.execute("update dlo.crm_contact set _is_deleted = true")

    assert refresh_phones(loading.connection).new == 0


def test_a_warehouse_without_tables_has_no_numbers(loading):
    assert refresh_phones(loading.connection).new == 0


def test_the_countries_of_the_seed_are_folded_as_a_model_folds_them(loading):
    """A spelling that folds to something else would never be found."""
    aliases = country_aliases()
    folded = reference._FOLDED.format(text=reference._CLEANED.format(typed="alias"))

    different = loading.connection.execute(
        f"select alias from (select unnest(?) as alias) where alias <> {folded}",
        [list(aliases)],
    ).fetchall()

    assert different == []
    assert {aliases[name] for name in ("germany", "deutschland", "de", "deu")} == {"DE"}


def test_the_folding_is_the_one_of_the_dbt_macros():
    """The join of the models is on equality: one folding more and nothing matches."""
    macros = Path(reference.DBT_PROJECT / "macros" / "text.sql").read_text()

    def squeezed(text):
        return "".join(text.split())

    fold = reference._FOLDED.format(text="{{ column }}")
    cleaned = reference._CLEANED.format(typed="{{ column }}")
    assert squeezed(fold) in squeezed(macros)
    assert squeezed(cleaned) in squeezed(macros)


def test_all_example_numbers_of_the_library_are_numbers():
    import phonenumbers

    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number(region)
        if example is None:
            continue
        text = phonenumbers.format_number(
            example, phonenumbers.PhoneNumberFormat.NATIONAL
        )
        found = normalise_phone(text, region)
        assert found.e164 or found.reason == "a placeholder", (region, text, found)
