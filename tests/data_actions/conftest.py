"""A world of people, and a data action on what they are worth."""

from collections.abc import Iterator
from typing import Any

import pytest

from cdp_assets.data_actions.spec import DataActionSpec
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse
from tests.data_actions.people import People

WEBHOOK = {"kind": "webhook", "url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"}


@pytest.fixture
def people(paths: Paths, warehouse: Warehouse) -> Iterator[People]:
    with warehouse.writing("a test") as connection:
        yield People(paths, connection)


@pytest.fixture
def action() -> Any:
    """Declares an action on high value, changed as the test asks."""

    def declare(**changes: Any) -> DataActionSpec:
        return DataActionSpec.model_validate(
            {
                "name": "worth_a_call",
                "label": "Worth a call",
                "description": "…",
                "owner": "team:crm",
                "trigger": "change",
                "when": "lifetime_value.lifetime_value >= 10",
                "audience": "internal",
                "destination": WEBHOOK,
                "payload": {"value": "lifetime_value.lifetime_value"},
                "on_first_run": "fire",
            }
            | changes
        )

    return declare
