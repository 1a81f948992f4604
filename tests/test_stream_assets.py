"""Stream assets: what an operator sees of a load in the graph."""

import json

import dagster as dg
import pytest

from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.streams import stream_asset
from cdp_assets.streams.landing import land


@pytest.fixture
def materialise(paths, monkeypatch):
    """Land files, materialise the stream's asset, and return what it told."""
    monkeypatch.setenv("CDP_DATA", str(paths.root))
    resource = WarehouseResource(database=str(paths.warehouse))

    def run(spec, *rows):
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        land(paths, spec.name, "a.ndjson", content)
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize(
                [stream_asset(spec)],
                instance=instance,
                resources={"warehouse": resource},
            )
            (event,) = done.get_asset_materialization_events()
            metadata = event.materialization.metadata
            checks = {
                check.check_name: check for check in done.get_asset_check_evaluations()
            }
        return {key: entry.value for key, entry in metadata.items()}, checks

    return run


def rows(count, **said):
    return [{"id": str(i), "at": "2026-01-01T00:00:00"} | said for i in range(count)]


def test_quarantine_is_counted_by_field_and_reason_and_shows_no_value(
    materialise, thing
):
    metadata, checks = materialise(
        thing(), *rows(2), *rows(3, born="1.5.1970"), *rows(1, name="4111111111111111")
    )

    told = str(metadata["quarantine"])
    assert "| born | is not a date; expected yyyy-mm-dd or yyyymmdd | 3 |" in told
    assert "| name | holds a payment card number" in told
    assert "1970" not in told
    assert "1111" not in told
    check = checks["nothing_is_quarantined"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["quarantined_rows"].value == 4
    assert check.metadata["by_field_and_reason"].value == told
    assert checks["rows_are_conserved"].passed


def test_a_held_extract_is_told_in_metadata_and_a_check(materialise, thing):
    spec = thing(refresh_mode="full_refresh")
    metadata, checks = materialise(spec, *rows(100))
    assert (metadata["held"], checks["nothing_is_held"].passed) == ("nothing", True)

    metadata, checks = materialise(spec, *rows(10))

    assert metadata["held"].startswith("90 of 100 live records (90%) are absent")
    assert (metadata["held_files"], metadata["dagster/row_count"]) == (1, 100)
    check = checks["nothing_is_held"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["reason"].value == metadata["held"]
    assert checks["rows_are_conserved"].passed
