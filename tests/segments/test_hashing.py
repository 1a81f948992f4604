"""Hashed forms equal what the ad platforms publish, to the letter."""

import datetime as dt
import hashlib

import duckdb
import pytest

from cdp_assets.segments.expression import check_expression, read_expression
from cdp_assets.segments.hashing import FUNCTIONS, define_hashes


def hashed(function: str, value: object) -> str | None:
    with duckdb.connect() as connection:
        define_hashes(connection)
        row = connection.execute(f"select {function}(?)", [value]).fetchone()
    assert row is not None
    found: str | None = row[0]
    return found


# Google: "Send audience members" and "Format user data" of the Data Manager API.
# Meta: "Customer information parameters" of the Conversions API.
PUBLISHED = [
    (
        "google_email",
        "dana@example.com",
        "07e2f1394b0ea80e2adca010ea8318df697001a005ba7452720edda4b0ce57b3",
    ),
    (
        "google_email",
        "DanaM@example.com",
        "1df6b43bc68dd38eca94e6a65b4f466ae537b796c81a526918b40ac4a7b906c7",
    ),
    (
        "google_email",
        "AlexF@cymbalgroup.com",
        "7d2d80e240594dcee2e57f57885ee286c4b232dd142234d7a0af6d31cc86679b",
    ),
    (
        "google_email",
        "cloudySanFrancisco@GMAIL.com",
        "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4",
    ),
    (
        "google_email",
        " cloudy.sanfrancisco+shopping@gmail.com",
        "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4",
    ),
    (
        "google_phone",
        "+1-800-555-0100",
        "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30",
    ),
    (
        "google_phone",
        "+1 800-555-0101",
        "61d6c2976b5d92b1ad63073a12fddd26040cd980067d03a93dd1cc50f1a3ac68",
    ),
    (
        "google_phone",
        "+1-800-555-0110",
        "525c2390a4e2a9766fa8ddc341dd10414603baebefa401f5a5e29f55e176525d",
    ),
    (
        "meta_em",
        "John_Smith@gmail.com",
        "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    ),
    (
        "meta_ph",
        "+1 (650)555-1212",
        "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
    ),
    (
        "meta_fn",
        "Mary",
        "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec",
    ),
    (
        "meta_fn",
        "정",
        "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14",
    ),
    (
        "meta_fn",
        "Valéry",
        "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c",
    ),
    (
        "meta_ct",
        "New York",
        "350c754ba4d38897693aa077ef43072a859d23f613443133fecbbd90a3512ca5",
    ),
    (
        "meta_st",
        "CA",
        "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126",
    ),
    (
        "meta_dob",
        dt.date(1997, 2, 16),
        "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c",
    ),
    (
        "meta_country",
        "US",
        "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621",
    ),
]


@pytest.mark.parametrize(("function", "value", "expected"), PUBLISHED)
def test_the_published_examples(function: str, value: object, expected: str) -> None:
    assert hashed(function, value) == expected


@pytest.mark.parametrize(
    ("function", "value", "normalised"),
    [
        # Dots and plus signs matter everywhere but at Google's own domains.
        ("google_email", "user.name+NYC@Example.com", "user.name+nyc@example.com"),
        ("google_email", "A.B+c@GoogleMail.com", "ab@googlemail.com"),
        ("meta_em", " Jane.Doe+ads@gmail.com ", "jane.doe+ads@gmail.com"),
        ("google_first_name", " Mary Ann ", "maryann"),
        ("google_last_name", "O'Brien-Smith", "obriensmith"),
        ("meta_ln", " O'Brien Smith ", "obriensmith"),
        ("meta_ct", "St. Louis", "stlouis"),
        ("meta_st", "CA", "ca"),
        ("meta_zip", "94035-1234", "94035"),
        ("meta_zip", "M1 1AE", "m11ae"),
        ("meta_ph", "0049 170 1234567", "491701234567"),
    ],
)
def test_the_published_rules(function: str, value: str, normalised: str) -> None:
    assert hashed(function, value) == hashlib.sha256(normalised.encode()).hexdigest()


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_nothing_hashes_to_nothing(function: str) -> None:
    """The hash of an empty text is one value, shared by everybody without one."""
    assert hashed(function, None) is None
    if function != "meta_dob":
        assert hashed(function, " ") is None


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("google_phone", "0170 1234567"),
        ("google_email", "nobody"),
        ("meta_em", "nobody"),
        ("meta_country", "Germany"),
    ],
)
def test_what_no_platform_could_match_is_not_sent(function: str, value: str) -> None:
    assert hashed(function, value) is None


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_mapping_may_call_them(function: str) -> None:
    columns = {"profile": {"x": "date" if function == "meta_dob" else "varchar"}}
    expression = read_expression(f"{function}(profile.x)")
    assert check_expression(expression, columns) == "VARCHAR"
