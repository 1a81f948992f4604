"""Declarations of data actions: what cannot be is refused, and says what would be."""

import json
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

from cdp_assets.activation.spec import load_activations
from cdp_assets.data_actions.spec import (
    DataActionSpec,
    check,
    load_data_actions,
    load_senders,
)
from cdp_assets.declarations import DeclarationError, read_declaration

COLUMNS = {
    "profile": {"unified_individual_id": "varchar", "first_name": "varchar"},
    "lifetime_value": {
        "unified_individual_id": "varchar",
        "lifetime_value": "decimal(18,2)",
    },
    "run": {"as_of": "timestamp"},
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"audience": "person"}, "channel: a message to the person needs it"),
        ({"purpose": "marketing"}, "purpose: no consent is asked where audience is"),
        ({"cool_down": "soon"}, "'soon' is no length of time: write one like 30"),
        ({"previous": ["valu"]}, "'valu' is no field of payload; did you mean 'value'"),
        (
            {"trigger": "case", "previous": ["value"]},
            "an event has no earlier value",
        ),
        ({"payload": {"operation": "1"}}, "payload.operation: 'operation' is sent"),
        ({"trigger": "events"}, "'events' is none of change, engagement, case or"),
        ({"cooldown": "1 hour"}, "unknown key; did you mean 'cool_down'?"),
    ],
)
def test_a_faulty_file_is_told_with_line_field_and_remedy(
    tmp_path: Path, action: Any, changes: dict[str, Any], says: str
) -> None:
    declared = json.loads(action().model_dump_json(exclude_none=True))
    declared.pop("max_age"), declared.pop("previous")
    file = tmp_path / "worth_a_call.yaml"
    file.write_text(yaml.safe_dump(declared | changes))
    with pytest.raises(DeclarationError) as refused:
        read_declaration(file, DataActionSpec)
    assert str(refused.value).startswith("worth_a_call.yaml: line ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"when": "lifetime_value.lifetime_valu > 1"}, "did you mean lifetime_value"),
        ({"when": "segment.vips"}, "when: segment has no column 'vips' (did you mean"),
        ({"when": "lifetime_value.lifetime_value"}, "is not a condition: it yields"),
        ({"when": "event.event_type = 'X'"}, "when: knows no table 'event'"),
        ({"payload": {"e": "contact.email_address"}}, "payload.e: knows no table"),
        ({"name": "welcome"}, "name: there is an activation 'welcome'"),
    ],
)
def test_what_cannot_be_bound_is_refused_when_the_code_location_loads(
    action: Any, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(DeclarationError) as refused:
        check(action(**changes), COLUMNS, ["vip"], ["welcome"])
    assert says in str(refused.value)


def test_durations_are_whole_and_positive(action: Any) -> None:
    for text in ("0 hours", "-1 days", "1.5 hours", "1 hour ago", 3):
        with pytest.raises(pydantic.ValidationError, match="is no length of time"):
            action(cool_down=text)


def test_the_stories_of_the_article_are_shipped() -> None:
    shipped = load_data_actions()
    assert {
        "cart_left_behind",
        "valued_customer_ticket",
        "engagement_falls",
        "promotion_offer",
    } <= set(shipped)
    assert len(load_senders()) == len(shipped) + len(load_activations())
