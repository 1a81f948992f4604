"""AdventureWorks B2C: 18,148 customers with e-mail, accents and 25,164 orders."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdp_assets.streams.spec import load_streams
from tests.exports.overlay import EXPORTS, Export, harmonise

if TYPE_CHECKING:
    import pandas as pd

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adventureworks")]


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    return test_data / "behaviour" / "adventureworks_b2c"


@pytest.fixture(scope="module")
def shop(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    files = {
        "adventure_customer": folder.glob("*_Customers.csv"),
        "adventure_product": folder.glob("*_Products.csv"),
        "adventure_sale": folder.glob("*_Sales_*.csv"),
    }
    root = tmp_path_factory.mktemp("adventureworks")
    named = {
        stream: {path.name: path for path in sorted(paths)}
        for stream, paths in files.items()
    }
    return harmonise("adventureworks", root, named)


@pytest.fixture(scope="module")
def sales(folder: Path) -> "pd.DataFrame":
    """The oracle: every line with its worth in hundredths of a cent."""
    import pandas as pd

    lines = pd.concat([pd.read_csv(path) for path in folder.glob("*_Sales_*.csv")])
    products = pd.read_csv(folder / "AdventureWorks_Products.csv")
    lines = lines.merge(products[["ProductKey", "ProductPrice"]], how="left")
    price = (lines["ProductPrice"] * 10_000).round().astype(int)
    return lines.assign(total=price * lines["OrderQuantity"])


def test_every_row_is_loaded(shop: Export) -> None:
    found = {name: load.inserted for name, load in shop.loads.items() if load.files}
    assert found == {
        "adventure_customer": 18_148,
        "adventure_product": 293,
        "adventure_sale": 56_046,
    }
    assert all(load.quarantined == 0 for load in shop.loads.values())


def test_orders_and_their_totals(shop: Export, sales: "pd.DataFrame") -> None:
    """Two numbers belong to two customers each, who would pay for one another."""
    totals = sales.groupby(["OrderNumber", "CustomerKey"])["total"].sum()
    found = {
        (number, int(record.split(":")[1])): round(total * 100)
        for number, record, total in shop.ask(
            "select order_number, sold_to_customer_id, grand_total_amount "
            "from dmo.sales_order"
        )
    }
    assert len({number for number, _ in found}) == 25_162
    assert len(found) == 25_164
    assert found.keys() == set(totals.index)
    assert all(abs(found[key] - total / 100) <= 0.5 for key, total in totals.items())
    assert shop.one("select count(*) from dmo.sales_order_product") == 56_046


def test_everybody_has_an_address_and_a_birth_date(shop: Export) -> None:
    assert shop.ask(
        """
        select count(*), count(distinct email_address), count(distinct id)
        from dmo.contact_point_email
        """
    ) == [(18_148, 18_148, 18_148)]
    assert shop.ask(
        "select count(birth_date), min(birth_date)::varchar from dmo.individual"
    ) == [(18_148, "1910-08-13")]


def test_accents_survive(shop: Export, folder: Path) -> None:
    import pandas as pd

    customers = pd.read_csv(folder / "AdventureWorks_Customers.csv", encoding="utf-8")
    accented = customers[~customers["LastName"].str.isascii()]
    found = dict(
        shop.ask(
            r"""
            select id, last_name from dmo.individual
            where regexp_matches(last_name, '[^\x00-\x7F]')
            """
        )
    )
    assert found == {
        f"adventure_customer:{key}": name.title()
        for key, name in zip(accented["CustomerKey"], accented["LastName"], strict=True)
    }
    assert "Muñoz" in found.values()


def test_the_latin_1_export_loads_as_the_utf_8_one(loading, shop, folder) -> None:
    """The shop publishes latin-1; read as UTF-8 it would be refused, not garbled."""
    text = (folder / "AdventureWorks_Customers.csv").read_text("utf-8-sig")
    spec = load_streams(EXPORTS / "adventureworks" / "streams")["adventure_customer"]
    latin = spec.model_copy(
        update={
            "connection": spec.connection.model_copy(update={"encoding": "latin-1"})
        }
    )
    content = text.encode("latin-1")

    refused = loading.load(spec, content)
    assert refused.unreadable_files == 1
    assert refused.inserted == 0

    loading.connection.execute("delete from ops.landed_file")
    assert loading.load(latin, content).inserted == 18_148
    hashes = "select _record_id, _row_hash from dlo.adventure_customer order by 1"
    assert loading.rows(hashes) == shop.ask(hashes)


def test_an_order_without_a_rate_counts_nothing_and_is_reported(shop: Export) -> None:
    """No rate for the dollar was loaded; as zero it would be a figure."""
    assert shop.ask(
        "select count(*), count(net_amount), count(net_amount_reporting) "
        "from dmo.sales_order"
    ) == [(25_164, 25_164, 0)]
    assert shop.warnings == ["sales_order_has_an_exchange_rate"]
