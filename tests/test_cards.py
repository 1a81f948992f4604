"""Card numbers: refused where nobody declared them, masked in all that is kept."""

import datetime as dt
import json
import random

import duckdb
import pytest

from cdp_assets.streams import cards, quarantine
from cdp_assets.streams.landing import land
from cdp_assets.streams.load import load_waiting

AT = "2026-01-01T00:00:00Z"
VISA = "4111111111111111"


@pytest.fixture(scope="module")
def memory():
    with duckdb.connect() as connection:
        yield connection


def found(connection, text):
    query = (
        f"select {cards.found('t')}, {cards.is_suspicious('t')} from (select ? as t)"
    )
    numbers, suspicious = connection.execute(query, [text]).fetchone()
    assert suspicious or not numbers
    return numbers


@pytest.mark.parametrize(
    "number",
    [
        VISA,
        "4222222222222",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "41111111 11111111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "3056 930902 5904",
        "6011111111111117",
        "3530111333300000",
        "6200000000000005",
        "6304000000000000",
        "6799990100000000019",
    ],
)
def test_published_test_numbers_are_found_in_a_text(memory, number):
    expected = [] if number.startswith("67999") else [number]

    assert found(memory, f"card {number}, exp 12/27") == expected
    assert found(memory, f'{{"pan":"{number}"}}') == expected


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # check digit
        "1111111111111117",  # no network
        "411111111111111",  # length
        "+4915112345674",  # a phone number
        "004915112345674",
        "4006381333931",  # a barcode, EAN-13
        "52.4111111111111111",  # a latitude
        "0004500001234",  # an SAP document
        "20260228134500123",  # an instant
        "1767225600000000",
        "a4111111111111111",  # part of an identifier
        "41111111111111110000",
        "DE89370400440532013000",
        "490154203237518",  # an IMEI
    ],
)
def test_other_numbers_are_not(memory, text):
    assert found(memory, text) == []


def test_two_percent_of_random_16_digit_numbers_pass(memory):
    """What a false alarm costs: an identifier of that kind should be declared."""
    rng = random.Random(1)
    numbers = [f"{rng.randrange(10**16):016d}" for _ in range(20_000)]
    (share,) = memory.execute(
        f"select avg(len({cards.found('t')})) from (select unnest(?) as t)", [numbers]
    ).fetchone()

    assert 0.015 < share < 0.03


def load_one(loading, spec, **more):
    return loading.load(spec, json.dumps({"id": "1", "at": AT} | more).encode())


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": f"pays with {VISA}"}, "name"),
        ({"more": {"note": ["4111 1111 1111 1111"]}}, "more"),
        ({"remark": VISA}, "remark"),
        ({"count": f"{VISA} x"}, "count"),
    ],
)
def test_a_card_number_is_refused_and_masked(loading, thing, more, field):
    result = load_one(loading, thing(), **more)

    assert (result.inserted, result.quarantined) == (0, 1)
    ((where, reason, record),) = loading.rows(
        "select field, reason, record from ops.quarantine"
    )
    assert where == field
    assert VISA not in record + reason
    assert "*1111" in record
    if field != "count":
        assert reason == cards.REASON


def test_no_byte_of_the_number_reaches_the_warehouse(paths, warehouse, thing):
    land(paths, "thing", "a.csv", f"id,at,name\n1,{AT},{VISA}\n".encode())
    land(paths, "thing", "b.csv", f'id,at,name\n1,{AT},"{VISA}\n'.encode())
    with warehouse.writing("a test") as connection:
        load_waiting(
            connection, paths, thing("csv"), started_at=dt.datetime(2026, 11, 1)
        )
        assert connection.execute("select count(*) from ops.quarantine").fetchone() == (
            2,
        )

    written = paths.warehouse.read_bytes()
    assert b"************1111" in written
    assert VISA.encode() not in written


def test_a_field_may_be_declared_to_hold_card_numbers(loading, thing):
    fields = thing().model_dump()["fields"] | {
        "pan": {"type": "string", "pii": "card_number"}
    }

    assert load_one(loading, thing(fields=fields), pan=VISA).inserted == 1


def test_keys_numbers_and_phones_are_no_cards(loading, thing):
    fields = thing().model_dump()["fields"] | {
        "phone": {"type": "string", "pii": "phone"}
    }
    spec = thing(fields=fields)

    result = loading.load(
        spec,
        json.dumps(
            {"id": VISA, "at": AT, "count": int(VISA), "phone": "4222222222222"}
        ).encode(),
    )

    assert result.inserted == 1


def test_a_key_that_looks_like_one_survives_quarantine(loading, thing):
    loading.load(thing(), json.dumps({"id": VISA, "at": AT, "born": "never"}).encode())

    ((record,),) = loading.rows("select record from ops.quarantine")

    assert json.loads(record)["id"] == VISA


def test_a_replay_brings_the_record_back_with_the_number_masked(loading, thing):
    load_one(loading, thing(), name=f"pays with {VISA}")

    done = quarantine.replay(
        loading.connection, thing(), started_at=dt.datetime(2026, 11, 2)
    )

    assert done.inserted == 1
    assert loading.rows("select name from dlo.thing") == [
        ("pays with ************1111",)
    ]
