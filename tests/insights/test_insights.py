"""Profiles and insights, built by dbt on facts written by hand."""

import datetime as dt
import json
import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from cdp_assets.digests import digest

Row = dict[str, Any]
Facts = dict[str, list[Row]]
Build = Callable[[Facts], duckdb.DuckDBPyConnection]

FIELDS = [
    "first_name",
    "middle_name",
    "last_name",
    "name_suffix",
    "salutation",
    "birth_date",
    "primary_language_id",
    "primary_account_id",
]
EPOCH = dt.datetime(1970, 1, 1)


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """The rows of a query by column name."""
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def people_of_records(facts: Facts) -> dict[str, str]:
    """The person of each record that is still there."""
    there = {row["id"] for row in facts["dmo.individual"]}
    return {
        link["record"]: link["unified_individual_id"]
        for link in facts["identity.unified_link_individual"]
        if link["record"] in there
    }


def records_of_people(facts: Facts) -> dict[str, list[Row]]:
    """The records that each person has, with the account as a unified account."""
    accounts = {
        link["record"]: link["unified_account_id"]
        for link in facts["identity.unified_link_account"]
        if link["record"] in {row["id"] for row in facts["dmo.account"]}
    }
    individuals = {row["id"]: row for row in facts["dmo.individual"]}
    people = defaultdict(list)
    for record, person in people_of_records(facts).items():
        row = individuals[record]
        account = accounts.get(row["primary_account_id"])
        people[person].append({**row, "primary_account_id": account})
    return people


def fold(text: str) -> str:
    """Lower case without accents, as a person would compare names."""
    parts = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    return "".join(part for part in parts if not unicodedata.combining(part))


def golden(records: list[Row], field: str, rules: list[Row]) -> tuple[Any, Any]:
    """The value and its record, by a plain reading of the rules."""
    own = [r for r in rules if r["object"] == "individual" and r["field"] == field]
    own = own or [r for r in rules if r["object"] == "individual" and r["field"] == "*"]
    order = {r["source"]: r["priority"] for r in own}
    filled = [r for r in records if r[field] is not None and str(r[field]).strip()]

    def recency(record: Row) -> Any:
        modified = record["last_modified_date"] or EPOCH
        return -(modified - EPOCH).total_seconds(), record["id"]

    def place(record: Row) -> Any:
        by_system = order.get(record["data_source_id"], 99)
        return order.get(record["data_source_object_id"], by_system), *recency(record)

    if not filled:
        return None, None
    if own[0]["method"] == "most_frequent":
        meanings, spellings = defaultdict(list), defaultdict(list)
        for record in filled:
            meanings[fold(str(record[field]))].append(record)
            spellings[record[field]].append(record)
        elected = min(
            meanings.values(), key=lambda m: (-len(m), min(recency(r) for r in m))
        )
        filled = min(
            (spellings[record[field]] for record in elected),
            key=lambda s: (-len(s), min(recency(r) for r in s)),
        )
    standing = place if own[0]["method"] == "source_priority" else recency
    winner = min(filled, key=standing)
    return winner[field], winner["id"]


def counted_orders(facts: Facts, as_of: dt.datetime) -> list[Row]:
    """The orders that count, with the person who bought."""
    people = people_of_records(facts)
    return [
        {**order, "person": people[order["sold_to_customer_id"]]}
        for order in facts["dmo.sales_order"]
        if order["sold_to_customer_id"] in people
        and order["sales_order_status_id"] not in ("cancelled", "returned")
        and order["purchase_order_date"] <= as_of
    ]


def test_everybody_who_has_a_record_has_exactly_one_profile(
    built: duckdb.DuckDBPyConnection, facts: Facts
) -> None:
    """A person lost or doubled here is lost or doubled for every message."""
    profiles = rows(built, "from unified.unified_individual")
    people = records_of_people(facts)
    assert Counter(p["unified_individual_id"] for p in profiles) == Counter(
        list(people)
    )
    for profile in profiles:
        records = people[profile["unified_individual_id"]]
        assert profile["record_count"] == len(records)
        assert profile["source_count"] == len({r["data_source_id"] for r in records})
        assert profile["is_known"] == any(
            r["is_anonymous"] is not True for r in records
        )


@pytest.mark.parametrize("field", FIELDS)
def test_every_golden_value_is_what_a_plain_reading_of_the_rules_picks(
    built: duckdb.DuckDBPyConnection, facts: Facts, field: str
) -> None:
    """Set-based SQL that is quietly wrong shows one person another one's name."""
    rules = facts["identity.reconciliation_rule"]
    expected = {
        person: golden(records, field, rules)
        for person, records in records_of_people(facts).items()
    }
    assert {
        profile["unified_individual_id"]: (profile[field], profile[f"{field}_record"])
        for profile in rows(built, "from unified.unified_individual")
    } == expected
    assert any(value is None for value, _ in expected.values())
    assert any(value is not None for value, _ in expected.values())


def test_every_golden_value_names_a_record_of_that_person_that_carries_it(
    built: duckdb.DuckDBPyConnection, facts: Facts
) -> None:
    """An origin that does not say what it is quoted for is no origin."""
    carried = {
        (person, record["id"]): record
        for person, records in records_of_people(facts).items()
        for record in records
    }
    seen = 0
    for profile in rows(built, "from unified.unified_individual"):
        for field in FIELDS:
            record = profile[f"{field}_record"]
            if record is None:
                assert profile[field] is None
                continue
            key = (profile["unified_individual_id"], record)
            assert carried[key][field] == profile[field]
            seen += 1
    assert seen > 100


def test_every_contact_point_of_a_person_is_kept_once_and_ranked(
    built: duckdb.DuckDBPyConnection, facts: Facts
) -> None:
    """A lost address is a customer nobody can write to."""
    people = people_of_records(facts)
    expected = defaultdict(set)
    for point in facts["dmo.contact_point_email"]:
        if point["party_id"] in people:
            key = (people[point["party_id"]], point["normalised_email"])
            expected[key].add(point["party_id"])
    found = rows(built, "from unified.unified_contact_point_email")
    assert {
        (p["unified_individual_id"], p["normalised_email"]): p["records"] for p in found
    } == {key: len(records) for key, records in expected.items()}
    assert len(found) == len(expected)
    ranks = defaultdict(list)
    for point in found:
        key = (point["unified_individual_id"], point["normalised_email"])
        assert point["source_record_id"] in expected[key]
        ranks[point["unified_individual_id"]].append(point["rank"])
    assert all(sorted(r) == list(range(1, len(r) + 1)) for r in ranks.values())


def test_no_money_is_lost_and_none_is_made(
    built: duckdb.DuckDBPyConnection, facts: Facts, as_of: dt.datetime
) -> None:
    """A join that doubles or drops an order changes what a customer is worth."""
    expected: dict[str, list[Row]] = defaultdict(list)
    for order in counted_orders(facts, as_of):
        expected[order["person"]].append(order)
    values = rows(built, "from insights.lifetime_value")
    assert {v["unified_individual_id"] for v in values} == set(expected)
    for value in values:
        orders = expected[value["unified_individual_id"]]
        amounts = [
            o["net_amount_reporting"] for o in orders if o["net_amount_reporting"]
        ]
        assert value["total_orders"] == len(orders)
        assert value["orders_without_rate"] == len(orders) - len(amounts)
        assert value["lifetime_value"] == (sum(amounts) if amounts else None)
        currencies: dict[str, Decimal] = defaultdict(Decimal)
        for order in orders:
            currencies[order["currency_code"]] += order["net_amount"]
        stated = json.loads(value["lifetime_value_by_currency"], parse_float=Decimal)
        assert stated == currencies
    assert sum(v["orders_without_rate"] for v in values) > 0


def test_the_engagement_of_everybody_adds_up_to_the_events_of_the_window(
    built: duckdb.DuckDBPyConnection, facts: Facts, as_of: dt.datetime
) -> None:
    """An event counted twice or at the wrong edge makes a stranger look keen."""
    weights = {"EmailOpen": 2, "WebVisit": 1, "Purchase": 5}
    known = people_of_records(facts)
    start = as_of.replace(hour=0, minute=0) - dt.timedelta(days=90)
    events = [
        event
        for event in facts["dmo.engagement_event"]
        if event["individual_id"] in known and start <= event["event_date"] <= as_of
    ]
    assert rows(
        built,
        """
        select sum(engagement_score)::bigint as score,
            sum(email_clicks_90d)::bigint as clicks
        from insights.engagement_score
        """,
    ) == [
        {
            "score": sum(weights.get(event["event_type"], 0) for event in events),
            "clicks": sum(event["event_type"] == "EmailClick" for event in events),
        }
    ]


def test_everybody_has_one_lifecycle_stage_and_one_propensity_tier(
    built: duckdb.DuckDBPyConnection,
) -> None:
    """A derived dimension that misses people empties the segments built on it."""
    people = "select unified_individual_id from unified.unified_individual"
    for insight in ("lifecycle_stage", "propensity_tier"):
        found = f"select unified_individual_id from insights.{insight}"
        assert rows(built, f"({people} except all {found})") == []
        assert rows(built, f"({found} except all {people})") == []


def test_no_figure_is_about_somebody_without_a_profile(
    built: duckdb.DuckDBPyConnection, dbt: Any
) -> None:
    """A score of a deleted person would be published and could be acted on."""
    for schema in ("unified", "insights"):
        for name, model in dbt.models(schema).items():
            key = model.config.meta["grain"].split(",")[0]
            if key in ("unified_individual_id", "unified_account_id"):
                profile = f"unified.{key.removesuffix('_id')}"
                found = f"select {key} from {schema}.{name}"
                stray = rows(built, f"{found} except select {key} from {profile}")
                assert stray == [], name


def test_the_order_in_which_facts_arrive_changes_no_table(
    built: duckdb.DuckDBPyConnection, build: Build, facts: Facts
) -> None:
    """A winner picked by position differs between two runs on the same facts."""
    shuffled = {
        table: random.Random(7).sample(found, len(found))
        for table, found in facts.items()
    }
    again = build(shuffled)
    tables = [
        f"{row['table_schema']}.{row['table_name']}"
        for row in rows(
            built,
            """
            select table_schema, table_name from information_schema.tables
            where table_schema in ('unified', 'insights', 'article')
            """,
        )
    ]
    assert len(tables) >= 18
    for table in tables:
        assert digest(again, table) == digest(built, table), table


def test_every_insight_says_its_grain_its_dimensions_and_its_measures(dbt: Any) -> None:
    """Segments and publication find insights by what their yml says."""
    insights = dbt.models("insights")
    assert {"lifetime_value", "engagement_score", "churn_risk"} <= set(insights)
    for name, model in insights.items():
        meta = model.config.meta
        assert meta["grain"] in ("unified_individual_id", "unified_account_id"), name
        assert meta["refresh"] in ("hourly", "daily"), name
        named = [*meta["dimensions"], *meta["measures"]]
        assert meta["grain"] == meta["dimensions"][0], name
        assert sorted(c for c in model.columns if c not in named) in (
            [],
            # What stands beside a figure, or dates it, is neither.
            ["first_order_date", "last_order_date", "lifetime_value_by_currency"],
        ), name
        assert set(named) <= set(model.columns), name
        assert model.config.contract.enforced, name
