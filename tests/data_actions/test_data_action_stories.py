"""The article's stories as shipped, over tables with the columns the models declare."""

import datetime as dt
import json
from typing import Any

import pytest
import yaml

from cdp_assets.activation.spec import load_activations
from cdp_assets.data_actions.spec import check, load_data_actions
from cdp_assets.declarations import quoted
from cdp_assets.paths import DBT_PROJECT
from cdp_assets.segments.namespace import PROFILE, RUN, profile_columns
from cdp_assets.segments.spec import load_segments
from tests.data_actions.people import AS_OF

HOUR = dt.timedelta(hours=1)


def declared() -> dict[str, dict[str, str]]:
    """What a condition may name, by the models' own yml."""
    nodes = {}
    for path in sorted((DBT_PROJECT / "models").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text()).get("models") or []:
            nodes[model["name"]] = {
                "resource_type": "model",
                "schema": path.parent.name,
                "name": model["name"],
                "config": model.get("config") or {},
                "columns": {each["name"]: each for each in model.get("columns") or []},
            }
    return profile_columns({"nodes": nodes})


COLUMNS = declared()


@pytest.fixture
def ada(people: Any) -> Any:
    """One customer, and words for what insights say of her."""
    for alias, columns in COLUMNS.items():
        if alias not in (PROFILE, RUN):
            body = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
            people.connection.execute(f"drop table if exists insights.{alias}")
            people.connection.execute(f"create table insights.{alias} ({body})")
    people.connection.execute(
        "alter table unified.unified_individual "
        "add column primary_language_id varchar default 'de'"
    )
    people.connection.execute(
        """
        insert into unified.unified_individual values ('ada', 'Ada', 'de');
        insert into unified.unified_record values ('ada', 'support_user:1');
        insert into unified.unified_contact_point_email
        values ('e', 'ada', 'ada@example.test', false, 1)
        """
    )
    return people


def say(people: Any, insight: str, **values: Any) -> None:
    """What an insight says of Ada from now on."""
    people.connection.execute(f"delete from insights.{insight}")
    values = {"unified_individual_id": "ada"} | values
    people.connection.execute(
        f"insert into insights.{insight} by name select "
        + ", ".join(f"? as {name}" for name in values),
        list(values.values()),
    )


def told(people: Any, name: str, at: dt.datetime) -> list[dict[str, Any]]:
    """What the shipped action plans in a look at this instant."""
    before = people.ask("select coalesce(max(sequence), 0) from activation.planned")
    people.plan(load_data_actions()[name], at)
    return [
        json.loads(row[0])
        for row in people.ask(
            "select payload::varchar from activation.planned "
            f"where sequence > {before[0][0]} order by sequence"
        )
    ]


def test_the_shipped_actions_fit_the_models_columns() -> None:
    """A renamed insight column must fail here, and not in the nightly run."""
    for spec in load_data_actions().values():
        check(spec, COLUMNS, load_segments(), load_activations())


def test_a_cart_abandoned_for_an_hour(ada: Any) -> None:
    def cart(is_abandoned: bool, value: int = 80) -> None:
        say(ada, "cart_status", is_abandoned=is_abandoned, cart_value=value,
            shopping_cart_id="c1", cart_currency_code="EUR",
            last_cart_event_date=AS_OF)  # fmt: skip

    cart(False)
    assert told(ada, "cart_left_behind", AS_OF) == []
    cart(True)
    (message,) = told(ada, "cart_left_behind", AS_OF + HOUR)
    assert message["cart_id"] == "c1"
    assert message["email"] == "ada@example.test"
    assert told(ada, "cart_left_behind", AS_OF + 2 * HOUR) == []
    # Touched and left again on the same day: she has been reminded.
    cart(False)
    assert told(ada, "cart_left_behind", AS_OF + 3 * HOUR) == []
    cart(True)
    assert told(ada, "cart_left_behind", AS_OF + 5 * HOUR) == []


def test_a_high_value_customer_opens_a_ticket(ada: Any) -> None:
    say(ada, "lifetime_value", lifetime_value=900)
    say(ada, "service_status", open_case_count=1)
    assert told(ada, "valued_customer_ticket", AS_OF) == []
    ada.connection.execute(
        """
        insert into dmo."case" by name
        select 'support_ticket:7' as id, '7' as case_number,
            'support_user:1' as individual_id, true as is_open,
            ?::timestamp as opened_date, 'high' as case_priority_id
        """,
        [AS_OF],
    )
    (message,) = told(ada, "valued_customer_ticket", AS_OF + HOUR)
    assert (message["case_number"], message["lifetime_value_eur"]) == ("7", 900.0)


def test_engagement_falls_and_what_it_fell_from_is_told(ada: Any) -> None:
    say(ada, "lifetime_value", total_orders=3, lifetime_value=900)
    say(ada, "engagement_score", engagement_score=34)
    assert told(ada, "engagement_falls", AS_OF) == []
    say(ada, "engagement_score", engagement_score=4)
    (message,) = told(ada, "engagement_falls", AS_OF + 24 * HOUR)
    assert message["engagement_score"] == 4
    assert message["previous_engagement_score"] == 34


def test_a_promotion_is_withheld_while_a_ticket_is_open(ada: Any) -> None:
    say(ada, "engagement_score", engagement_score=40)
    say(ada, "propensity_tier", propensity_tier="medium")
    say(ada, "service_status", open_case_count=1)
    ada.connection.execute(
        "insert into segments.membership values "
        "('promotion_audience', 'ada', ?, null, 1)",
        [AS_OF],
    )
    assert told(ada, "promotion_offer", AS_OF) == []
    say(ada, "propensity_tier", propensity_tier="high")
    assert told(ada, "promotion_offer", AS_OF + HOUR) == []
    say(ada, "service_status", open_case_count=0)
    assert len(told(ada, "promotion_offer", AS_OF + 2 * HOUR)) == 1
