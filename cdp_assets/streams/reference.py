"""Reference data worked out from what the sources sent: phone numbers as E.164.

Number plans are libphonenumber's business, and it costs 15 µs a number; so distinct new
pairs of text and country are normalised once, and the map models look them up.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version

import duckdb
import pyarrow as pa

from cdp_assets.declarations import quoted
from cdp_assets.paths import DBT_PROJECT
from cdp_assets.warehouse import transaction

# Each stream with numbers: where they stand, and the country they were written in.
# The map models join on the very same text.
NUMBERS: dict[str, list[tuple[str, str]]] = {
    "crm_contact": [("MobilePhone", "MailingCountry"), ("Phone", "MailingCountry")],
    "crm_lead": [("Phone", "Country")],
    "crm_account": [("Phone", "BillingCountry")],
    "shop_customer": [
        ("phone", "default_address->>'$.country_code'"),
        ("default_address->>'$.phone'", "default_address->>'$.country_code'"),
    ],
    "shop_order": [
        (
            "coalesce(nullif(shipping_address->>'$.phone', ''), phone)",
            "shipping_address->>'$.country_code'",
        )
    ],
    "erp_kna1": [("TELF1", "LAND1"), ("TELF2", "LAND1")],
    "support_user": [("phone", "null")],
    "consent_log": [("contact_point_value", "null")],
}
STREAMS = tuple(NUMBERS)
VALUES_AT_ONCE = 100_000


def refresh_phones(connection: duckdb.DuckDBPyConnection) -> int:
    """Add what the DLOs hold and ``reference.phone`` does not know.

    A new version of the normaliser works every number out again.

    Returns:
        How many pairs of text and country were added.
    """
    current = f"phonenumbers {version('phonenumbers')}"
    with transaction(connection):
        connection.execute(
            "delete from reference.phone where normaliser_version <> ?", [current]
        )
        added = 0
        for batch in _new(connection):
            rows = pa.Table.from_pylist(
                [_normalised(raw, hint, current) for raw, hint in batch], schema=_SCHEMA
            )
            connection.execute("insert into reference.phone by name from rows")
            added += rows.num_rows
    return added


def normalise_phone(raw: str, country: str) -> tuple[str | None, str | None, str]:
    """Normalise one number.

    Args:
        raw: The text as it was typed.
        country: Its ISO-2 country, or '' where it is unknown.

    Returns:
        The E.164 form, its country and '', or None, None and the reason why not.
    """
    import phonenumbers

    if not any(character.isdigit() for character in raw):
        return None, None, "no digit in it"
    try:
        number = phonenumbers.parse(raw, country or None)
    except phonenumbers.NumberParseException as error:
        return None, None, _REASONS.get(error.error_type, "not a phone number")
    if not phonenumbers.is_possible_number(number):
        return None, None, "too short or too long for its country"
    if not phonenumbers.is_valid_number(number):
        return None, None, "not assigned in its country's number plan"
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164, phonenumbers.region_code_for_number(number), ""


# By NumberParseException.error_type.
_REASONS = {
    0: "a national number of an unknown country",
    1: "not a phone number",
    2: "too short after its country code",
    3: "too short to be a number",
    4: "too long to be a number",
}
_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in (
            "raw",
            "country_hint",
            "e164",
            "country",
            "reason",
            "normaliser_version",
        )
    ]
)


def _normalised(raw: str, hint: str, current: str) -> dict[str, str | None]:
    e164, country, reason = normalise_phone(raw, hint)
    return {
        "raw": raw,
        "country_hint": hint,
        "e164": e164,
        "country": country,
        "reason": reason or None,
        "normaliser_version": current,
    }


def _new(connection: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[str, str]]]:
    """Pairs that are not in ``reference.phone``, in batches."""
    countries = pa.table(_countries())  # noqa: F841 - read by the query
    typed = " union ".join(
        f"select {number} as raw, {country} as country_typed "
        f"from dlo.{quoted(stream)} where not _is_deleted"
        for stream, columns in NUMBERS.items()
        for number, country in columns
    )
    pairs = connection.execute(
        f"""
        select distinct typed.raw, coalesce(countries.iso2, '') as country_hint
        from ({typed}) as typed
        left join countries on countries.alias = {_fold("typed.country_typed")}
        where regexp_matches(typed.raw, '[0-9]') and typed.raw not like '%@%'
        except select raw, country_hint from reference.phone
        order by all
        """
    ).fetchall()
    for start in range(0, len(pairs), VALUES_AT_ONCE):
        yield pairs[start : start + VALUES_AT_ONCE]


def _fold(column: str) -> str:
    """The same form as dbt's macros ``clean_text`` and ``fold`` give a country."""
    clean = (
        f"trim(regexp_replace(nfc_normalize({column}), "
        r"'[\s\p{Z}\x{200B}\x{FEFF}]+', ' ', 'g'))"
    )
    return (
        f"translate(replace(replace(replace(lower(strip_accents({clean})), "
        "'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'øłđðıþ', 'olddit')"
    )


@cache
def _countries() -> dict[str, list[str]]:
    """The seed that dbt joins on, so that both sides mean the same country."""
    import csv

    path = DBT_PROJECT / "seeds" / "country.csv"
    with path.open(encoding="utf-8", newline="") as source:
        rows: Iterable[dict[str, str]] = list(csv.DictReader(source))
    return {
        "alias": [row["alias"] for row in rows],
        "iso2": [row["iso2"] for row in rows],
    }
