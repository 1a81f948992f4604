"""Shopify's API: its own fixtures through the shop's streams and mappings as shipped.

And every other fixture through the loader, whatever its envelope, field by field.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.paths import Paths
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import Warehouse
from tests.conftest import TEST_DATA, Loading
from tests.exports.overlay import Export, harmonise

FIXTURES = TEST_DATA / "sources" / "shopify_api_fixtures"
# Lists of texts or numbers: there is no record in them.
WITHOUT_RECORDS = {
    "authors",
    "collection_listing_product_ids",
    "product_listing_product_ids",
    "tags",
}


@pytest.fixture(scope="module")
def shop(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    def webhook(name: str) -> bytes:
        """What a webhook sends: the bare object out of the API's envelope."""
        (record,) = json.loads((FIXTURES / f"{name}.json").read_text()).values()
        return json.dumps(record).encode()

    files = {
        "shop_customer": {
            "search.json": FIXTURES / "customers_search.json",
            "saved.json": FIXTURES / "customer_saved_search_customers.json",
            "updated.json": webhook("customer"),
        },
        "shop_order": {
            "orders.json": FIXTURES / "orders.json",
            "created.json": webhook("order"),
        },
        "finance_exchange_rate": {
            "rates.csv": b"rate_date,currency_code,rate_to_eur,published_at\n"
            b"2008-01-09,USD,0.68,2008-01-09\n"
        },
    }
    return harmonise("shop", tmp_path_factory.mktemp("shop"), files)


@pytest.mark.slow
@pytest.mark.xdist_group("shopify_api")
def test_the_newest_answer_about_a_customer_stands(shop: Export) -> None:
    load = shop.loads["shop_customer"]
    assert (load.inserted, load.superseded + load.unchanged) == (2, 1)
    assert shop.ask(
        "select first_name, last_modified_date::varchar from dmo.individual "
        "where id = 'shop_customer:207119551'"
    ) == [("Bob", "2015-05-27 22:11:24")]
    assert shop.ask(
        "select email_address, email_domain_type_id from dmo.contact_point_email "
        "where id = 'shop_customer:207119551'"
    ) == [("bob.norman@hostmail.com", "company")]
    assert shop.ask(
        """
        select normalised_address_line1, city_name, postal_code_text,
            state_province_id, country_id, region_name
        from dmo.contact_point_address where party_id = 'shop_customer:207119551'
        """
    ) == [("92 chestnut st", "Louisville", "40202", "US-KY", "US", "Northern America")]


@pytest.mark.slow
@pytest.mark.xdist_group("shopify_api")
def test_two_answers_of_one_instant_leave_one_order(shop: Export) -> None:
    """The list has no lines, the single order has them; both say the same instant."""
    load = shop.loads["shop_order"]
    assert (load.inserted, load.superseded) == (1, 1)
    ((total, tax, date, customer, rate),) = shop.ask(
        """
        select grand_total_amount, total_tax_amount, purchase_order_date::varchar,
            sold_to_customer_id, exchange_rate
        from dmo.sales_order
        """
    )
    assert total in (Decimal("598.94"), Decimal("409.94"))
    assert (tax, date) == (Decimal("11.94"), "2008-01-10 16:00:00")
    assert (customer, rate) == ("shop_customer:207119551", Decimal("0.68"))
    lines = shop.one("select count(*) from dmo.sales_order_product")
    assert lines == (3 if total == Decimal("409.94") else 0)


def records_of(document: Any) -> tuple[str | None, list[dict[str, Any]]]:
    """The envelope's key, if it has one, and the records in it."""
    if isinstance(document, dict) and len(document) == 1:
        ((key, inner),) = document.items()
        if isinstance(inner, (dict, list)):
            return key, inner if isinstance(inner, list) else [inner]
    return None, document if isinstance(document, list) else [document]


NAMES = sorted(path.stem for path in FIXTURES.glob("*.json")) or ["absent"]


def identifier_for(key: str) -> str:
    return re.sub(r"\W", "_", key)


def declared(name: str, document: Any) -> StreamSpec:
    """The stream a user would declare for this fixture."""
    path, records = records_of(document)
    objects = [record for record in records if isinstance(record, dict)]
    keys = sorted({key for record in objects for key in record}) or ["id"]
    nested = {
        key
        for key in keys
        if any(isinstance(record.get(key), (dict, list)) for record in objects)
    }

    def tells_apart(key: str) -> bool:
        values = [record.get(key) for record in objects]
        return all(type(value) in (int, str) for value in values) and len(
            set(values)
        ) == len(values)

    unique = [key for key in keys if tells_apart(key)] or keys
    return StreamSpec.model_validate(
        {
            "name": name,
            "source_system": "shopify",
            "source_object": name,
            "description": "A fixture.",
            "connection": {"format": "json", "record_path": path},
            "category": "other",
            "primary_key": [identifier_for("id" if "id" in unique else unique[0])],
            "refresh_mode": "upsert",
            "schedule": "0 * * * *",
            "retention_days": 1,
            "freshness_hours": 1,
            "expected_records_per_day": 1,
            "fields": {
                identifier_for(key): {
                    "type": "json" if key in nested else "string",
                    "sent_as": key,
                }
                for key in keys
            },
        }
    )


@pytest.fixture(scope="module")
def loading(
    test_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loading]:
    """One warehouse for all of them."""
    paths = Paths(tmp_path_factory.mktemp("fixtures"))
    with Warehouse(paths, wait_seconds=10).writing("a test") as connection:
        yield Loading(paths, connection)


@pytest.mark.slow
@pytest.mark.xdist_group("shopify_api")
@pytest.mark.parametrize("name", NAMES)
def test_every_fixture_is_loaded_field_by_field(loading: Loading, name: str) -> None:
    content = (FIXTURES / f"{name}.json").read_bytes()
    document = json.loads(content)
    spec = declared(name, document)

    load = loading.load(spec, content)

    if name in WITHOUT_RECORDS:
        assert (load.inserted, load.unreadable_files + load.quarantined > 0) == (
            0,
            True,
        )
        return
    _, records = records_of(document)
    # One of the discount codes is the empty text, and no other field tells them apart.
    keyless = 1 if name == "batch_discount_codes" else 0
    assert (load.inserted, load.quarantined) == (len(records) - keyless, keyless)
    found = {
        key: json.loads(row)
        for key, row in loading.rows(
            f'select _record_id, to_json(t) from dlo."{name}" as t'
        )
    }
    for record in records:
        row = found.get(f"{name}:{record[spec.primary_key[0]]}")
        if row is None:
            assert len(records) == 1 or keyless
            continue
        for key, value in record.items():
            field = identifier_for(key)
            if isinstance(value, (dict, list, str)) or value is None:
                assert row[field] == value, field
            else:
                assert json.loads(row[field]) == value, field
