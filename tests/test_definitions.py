"""The code location: it loads, and what its users rely on is there."""

from typing import Any

import dagster as dg
import pytest

from cdp_assets.activation.spec import load_activations
from cdp_assets.data_actions.spec import load_data_actions
from cdp_assets.segments.spec import load_segments
from cdp_assets.streams.spec import load_streams


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    from cdp_assets.definitions import defs

    return defs()


@pytest.fixture(scope="session")
def specs(definitions: dg.Definitions) -> dict[str, Any]:
    return {
        "/".join(spec.key.path): spec for spec in definitions.resolve_all_asset_specs()
    }


def test_every_declaration_is_an_asset(specs: dict[str, Any]) -> None:
    """A YAML that made no asset would never be run by anybody."""
    expected = {
        *(f"dlo/{name}" for name in load_streams()),
        *(f"segments/{name}" for name in load_segments()),
        *(f"activation/{name}" for name in load_activations()),
        *(f"data_action/{name}" for name in load_data_actions()),
        "identity/unified_link_individual",
        "unified/unified_individual",
        "insights/lifetime_value",
        "publication/profile_documents",
        "publication/snapshot",
    }
    assert expected <= set(specs)


def test_assets_say_what_they_are_and_whose(specs: dict[str, Any]) -> None:
    """The UI shows nothing else to somebody who has never seen the project."""
    ours = {name: spec for name, spec in specs.items() if spec.group_name != "default"}
    assert not [name for name, spec in ours.items() if not spec.description]
    assert not [name for name, spec in ours.items() if not spec.owners]
    assert not [name for name, spec in ours.items() if not spec.kinds]
    assert not [name for name in specs if name not in ours]


def test_lineage_reaches_from_every_source_to_every_activation(
    definitions: dg.Definitions,
) -> None:
    """A key that differs by a letter would cut the graph in two without an error."""
    graph = definitions.resolve_asset_graph()
    for name in load_activations():
        start = dg.AssetKey(["activation", name])
        above = graph.get_ancestor_asset_keys(start)
        sources = {key.path[1] for key in above if key.path[0] == "dlo"}
        assert {"crm_contact", "shop_customer", "erp_kna1", "consent_log"} <= sources


def test_no_asset_depends_on_something_nobody_makes(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    unmade = {
        key for key in graph.get_all_asset_keys() if not graph.get(key).is_executable
    }
    assert {"/".join(key.path) for key in unmade} <= EXTERNAL


# Tables of operations that monitoring reads; no run makes them, every run adds to them.
# The last is an event of a job of its own, which no wave runs.
EXTERNAL = {"ops/load", "ops/quarantine", "identity/ruleset_link"}


def test_runs_start_by_themselves(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    sensors = {sensor.name for sensor in repository.sensor_defs}
    schedules = {schedule.name for schedule in repository.schedule_defs}
    assert {"landing_sensor", "failure_sensor"} <= sensors
    assert {
        "insights_hourly_schedule",
        "insights_daily_schedule",
        "nightly_resolution_schedule",
    } <= schedules
    assert all(
        sensor.default_status is dg.DefaultSensorStatus.RUNNING
        for sensor in repository.sensor_defs
    )


def test_each_stream_has_a_schedule_and_a_freshness_policy(
    definitions: dg.Definitions, specs: dict[str, Any]
) -> None:
    repository = definitions.get_repository_def()
    told = " ".join(schedule.description or "" for schedule in repository.schedule_defs)
    for name in load_streams():
        assert name in told
        assert specs[f"dlo/{name}"].freshness_policy is not None


def test_what_must_not_pass_blocks(definitions: dg.Definitions) -> None:
    """A failed gate must keep profiles, segments and messages from being made."""
    graph = definitions.resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert {
        "gates_are_passed",
        "every_record_is_linked_once",
        "rows_are_conserved",
    } <= blocking
