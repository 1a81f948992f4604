"""Alerts: told once, signed, tried again, and never with what is in a record."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cdp_assets.activation.receiver import Faults, Receiver, receiving
from cdp_assets.activation.signing import new_secret
from cdp_assets.defs.monitoring import failed_checks, failure_sensor, health_sensor
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.operations.alerts import (
    MOST_AT_ONCE,
    SECRET,
    URL,
    Alert,
    AlertError,
    Webhook,
    tell,
)
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse

AT = dt.datetime(2026, 11, 1, 12)
DISK = Alert("disk", "failure", "no room", "free some")
STALE = Alert("stale:crm", "warning", "crm is stale", "ask its source")
KEY = new_secret()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A real HTTP server that takes only what is signed with the secret."""
    with receiving(tmp_path / "alerts.ndjson", KEY, faults=Faults()) as served:
        yield served


@pytest.fixture
def webhook(receiver: Receiver) -> Webhook:
    made = Webhook.from_environment({URL: receiver.url, SECRET: KEY}, lambda _: None)
    assert made is not None
    return made


def got(receiver: Receiver) -> list[tuple[str, str]]:
    """Type and key of each message, once per webhook id."""
    lines = receiver.path.read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    return [(each["type"], each["data"]["key"]) for each in messages]


def test_one_stuck_thing_is_told_once_and_its_end_once(
    paths: Paths, webhook: Webhook, receiver: Receiver
) -> None:
    """The sensor looks every five minutes, all night."""
    for minute in range(0, 60, 5):
        tell(
            paths,
            webhook,
            [DISK, STALE],
            source="doctor",
            at=AT + dt.timedelta(minutes=minute),
        )
    assert got(receiver) == [("alert.raised", "disk"), ("alert.raised", "stale:crm")]
    later = AT + dt.timedelta(hours=2)
    assert tell(paths, webhook, [STALE], source="doctor", at=later).messages == 1
    assert got(receiver)[2:] == [("alert.resolved", "disk")]
    assert tell(paths, webhook, [STALE], source="doctor", at=later).messages == 0


def test_what_lasts_is_told_again_after_half_a_day(
    paths: Paths, webhook: Webhook, receiver: Receiver
) -> None:
    tell(paths, webhook, [DISK], source="doctor", at=AT)
    tell(paths, webhook, [DISK], source="doctor", at=AT + dt.timedelta(hours=11))
    tell(paths, webhook, [DISK], source="doctor", at=AT + dt.timedelta(hours=12))
    assert got(receiver) == [("alert.raised", "disk"), ("alert.reminder", "disk")]


def test_a_source_that_sees_nothing_ends_only_its_own(
    paths: Paths, webhook: Webhook, receiver: Receiver
) -> None:
    """The failed run is not over because the disk is well."""
    tell(paths, webhook, [DISK], source="runs", settles=False, at=AT)
    tell(paths, webhook, [], source="doctor", at=AT)
    tell(paths, webhook, [], source="runs", settles=False, at=AT)
    assert got(receiver) == [("alert.raised", "disk")]


def test_a_flood_is_cut(paths: Paths, webhook: Webhook, receiver: Receiver) -> None:
    flood = [Alert(f"stale:{n}", "warning", "stale", "ask") for n in range(50)]
    assert tell(paths, webhook, flood, source="doctor", at=AT).messages == MOST_AT_ONCE
    assert len(got(receiver)) == MOST_AT_ONCE


def test_a_lost_answer_is_tried_again_under_the_same_id(
    paths: Paths, webhook: Webhook, receiver: Receiver
) -> None:
    receiver.faults.script = ["500", "drop-after", "429"]
    tell(paths, webhook, [DISK], source="doctor", at=AT)
    assert receiver.requests.total() == 4
    assert got(receiver) == [("alert.raised", "disk")]


def test_what_was_not_taken_is_told_the_next_time(
    paths: Paths, webhook: Webhook, receiver: Receiver
) -> None:
    receiver.faults.script = ["500"] * 4
    with pytest.raises(AlertError, match="HTTP 500"):
        tell(paths, webhook, [DISK], source="doctor", at=AT)
    tell(paths, webhook, [DISK], source="doctor", at=AT)
    assert got(receiver) == [("alert.raised", "disk")]


def test_a_wrong_secret_is_not_tried_again(paths: Paths, receiver: Receiver) -> None:
    other = {URL: receiver.url, SECRET: new_secret()}
    pauses: list[float] = []
    webhook = Webhook.from_environment(other, pauses.append)
    assert webhook is not None
    with pytest.raises(AlertError, match="HTTP 401"):
        tell(paths, webhook, [DISK], source="doctor", at=AT)
    assert not pauses


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({URL: "http://alerts.example.com/x"}, "https://"),
        ({URL: "https://alerts.example.com/x", SECRET: "hush"}, "whsec_"),
    ],
)
def test_an_unsafe_webhook_is_refused(environ: dict[str, str], words: str) -> None:
    with pytest.raises(AlertError, match=words):
        Webhook.from_environment(environ)


@pytest.fixture
def configured(
    paths: Paths, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Paths:
    monkeypatch.setenv("CDP_DATA", str(paths.root))
    monkeypatch.setenv(URL, receiver.url)
    monkeypatch.setenv(SECRET, KEY)
    return paths


@dg.op
def reads_a_record() -> None:
    raise ValueError("could not convert 'ada@example.com'")


@dg.job
def failing() -> None:
    reads_a_record()


def test_a_failed_run_is_told_without_its_message(
    configured: Paths, receiver: Receiver
) -> None:
    """DuckDB's errors quote the value that they choked on."""
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            result = failing.execute_in_process(instance=instance, raise_on_error=False)
            event = result.get_run_failure_event()
            context = dg.build_run_status_sensor_context(
                sensor_name="failure_sensor",
                dagster_event=event,
                dagster_instance=instance,
                dagster_run=result.dagster_run,
            )
            failure_sensor(context.for_run_failure())
    assert got(receiver) == [("alert.raised", "failing:reads_a_record:ValueError")]
    assert "ada@" not in receiver.path.read_text()


@dg.asset_check(asset="thing", name="is_right")
def is_right() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"example": "ada@example.com"})


def test_a_failed_check_and_a_doctors_finding_are_told(
    configured: Paths, receiver: Receiver
) -> None:
    with Warehouse(configured).writing("a test") as connection:
        connection.execute(
            """
            insert into ops.quarantine values
                ('crm_contact', 'f', 1, 'Email', 'no', 'ada@example.com', 1, null)
            """
        )
    repository = dg.Definitions(asset_checks=[is_right]).get_repository_def()
    resource = WarehouseResource(database=str(configured.warehouse))
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [dg.AssetsDefinition(specs=[dg.AssetSpec("thing")]), is_right],
            instance=instance,
            selection=dg.AssetSelection.all_asset_checks(),
        )
        assert failed_checks(instance, []) == []
        for _ in range(2):
            with dg.build_sensor_context(
                instance=instance,
                repository_def=repository,
                resources={"warehouse": resource},
            ) as context:
                health_sensor(context)
    told = dict.fromkeys(key for _, key in got(receiver))
    assert "quarantine_is_read:crm_contact:warning" in told
    assert "is_right of thing" in told
    assert len(told) == len(got(receiver))
    assert "ada@" not in receiver.path.read_text()
