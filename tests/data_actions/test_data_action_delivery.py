"""From an edge to its receipt: consent, killed runs, two runs at once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.receiver import receiving
from cdp_assets.data_actions.planning import plan_action
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse
from tests.data_actions.people import AS_OF, People

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
MESSAGE = {
    "audience": "person",
    "channel": "email",
    "purpose": "marketing",
    "payload": {"email": "contact.email_address"},
}
# Looks as a run does, and kills itself where it is told.
LOOKER = """
import os, signal, sys
from pathlib import Path
from cdp_assets.activation.outbox import Outbox
from cdp_assets.data_actions import planning
from cdp_assets.data_actions.spec import DataActionSpec
from cdp_assets.paths import Paths
from cdp_assets.runs import parse_instant
from cdp_assets.warehouse import Warehouse

root, declared, at, point = sys.argv[1:]
paths, spec = Paths(Path(root)), DataActionSpec.model_validate_json(declared)

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

if point == "before the commit":
    planning._begin = die
with Warehouse(paths).writing("a look") as connection:
    planning.plan_action(connection, spec, Outbox(paths.outbox), 1, parse_instant(at))
    if point == "before the hand-over":
        die()
"""


def address(people: Any, person: str, status: str | None) -> None:
    mail = f"{person}@example.test"
    people.connection.execute(
        "insert into unified.unified_contact_point_email values (?, ?, ?, false, 1)",
        [person, person, mail],
    )
    if status:
        people.connection.execute(
            """
            insert into dmo.contact_point_consent by name
            select ? as id, 'email' as contact_point_type_id,
                ? as contact_point_value, 'marketing' as data_use_purpose_id,
                'email' as engagement_channel_type_id, ? as consent_status_id,
                'shop' as consent_captured_source_name,
                timestamp '2026-01-01' as consent_captured_date_time
            """,
            [f"consent_log:{person}", mail, status],
        )


def send(people: Any, spec: Any, folder: Path) -> list[dict[str, Any]]:
    """Deliver to a receiver that checks signatures; what it acted on."""
    got = folder / "received.ndjson"
    with receiving(got, SECRET) as receiver:
        settings = {"HOOK_URL": receiver.url, "HOOK_SECRET": SECRET}
        deliver_activation(
            people.outbox, spec, people.paths, environ=settings, at=AS_OF
        )
    lines = got.read_text().splitlines() if got.exists() else []
    return [json.loads(line) for line in lines]


def outcomes(people: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = people.waiting(
        "select unified_individual_id, outcome, r.reason, r.consent_record "
        "from receipt as r join outbox using (sequence) order by 1"
    )
    return found


def test_a_message_to_a_person_asks_their_consent(
    people: Any, action: Any, tmp_path: Path
) -> None:
    spec = action(**MESSAGE)
    for person, status in (("ada", "opt_in"), ("bob", "opt_out"), ("cy", None)):
        people.record(f"r-{person}", person, 12)
        address(people, person, status)
    people.record("r-dee", "dee", 12)
    people.look(spec)
    sent = send(people, spec, tmp_path)
    assert len(sent) == 1
    assert "ada@example.test" in json.dumps(sent)
    assert [row[:2] + row[3:] for row in outcomes(people)] == [
        ("ada", "delivered", "consent_log:ada"),
        ("bob", "withheld", "consent_log:bob"),
        ("cy", "withheld", None),
        ("dee", "withheld", None),
    ]


def test_an_internal_message_asks_none(
    people: Any, action: Any, tmp_path: Path
) -> None:
    people.record("r1", "bob", 12)
    address(people, "bob", "opt_out")
    people.look(action())
    assert len(send(people, action(), tmp_path)) == 1
    assert [row[:2] for row in outcomes(people)] == [("bob", "delivered")]


def test_a_message_is_not_superseded_by_the_next_one(
    people: Any, action: Any, tmp_path: Path
) -> None:
    """A destination that was down for a day is told of both edges, in order."""
    for worth in (12, 3, 15):
        people.record("r1", "ada", worth)
        people.look(action())
    sent = send(people, action(), tmp_path)
    assert [row[1] for row in outcomes(people)] == ["delivered", "delivered"]
    assert len(sent) == 2


@pytest.mark.parametrize("point", ["before the commit", "before the hand-over"])
def test_a_killed_look_loses_and_doubles_nothing(
    paths: Paths, action: Any, tmp_path: Path, point: str
) -> None:
    spec = action()
    with Warehouse(paths).writing("a test") as connection:
        people = People(paths, connection)
        people.record("r1", "ada", 12)
        people.publish()
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            LOOKER,
            paths.root,
            spec.model_dump_json(exclude_defaults=True),
            AS_OF.isoformat(),
            point,
        ],
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert killed.returncode == -signal.SIGKILL
    with Warehouse(paths).writing("the next run") as connection:
        people.connection = connection
        expected = 0 if point == "before the hand-over" else 1
        assert people.look(spec).planned == expected
        assert people.look(spec).planned == 0
    assert len(send(people, spec, tmp_path)) == 1


def test_two_runs_at_once_tell_once(paths: Paths, action: Any, tmp_path: Path) -> None:
    spec = action()
    with Warehouse(paths).writing("a test") as connection:
        people = People(paths, connection)
        for number in range(50):
            people.record(f"r{number}", f"p{number:02}", 12)
        people.publish()
    arguments = [
        sys.executable,
        "-c",
        LOOKER,
        paths.root,
        spec.model_dump_json(exclude_defaults=True),
    ]
    both = [
        subprocess.Popen([*arguments, AS_OF.isoformat(), "nowhere"]) for _ in range(2)
    ]
    assert [each.wait(60) for each in both] == [0, 0]
    with Warehouse(paths).writing("the next run") as connection:
        people.connection = connection
        people.hand_over()
        assert people.told() == [f"p{number:02}" for number in range(50)]
    assert len(send(people, spec, tmp_path)) == 50


def test_a_file_has_the_fields_and_their_earlier_values(
    people: Any, action: Any
) -> None:
    spec = action(
        destination={"kind": "file", "format": "csv"},
        previous=["value"],
    )
    people.record("r1", "ada", 4)
    people.look(spec)
    people.record("r1", "ada", 12)
    people.look(spec)
    deliver_activation(people.outbox, spec, people.paths, environ={}, at=AS_OF)
    (file,) = (people.paths.outgoing / spec.name).glob("*.csv")
    header, row = file.read_text().splitlines()
    assert header.split(",")[3:] == ["value", "previous_value"]
    assert row.split(",")[1:] == ["add", "ada", "12.00", "4.00"]


def test_planning_twice_over_a_restored_warehouse_sends_once(
    people: Any, action: Any, tmp_path: Path
) -> None:
    """A backup is older than the outbox: the same edge comes under the same key."""
    people.record("r1", "ada", 12)
    people.look(action())
    assert len(send(people, action(), tmp_path)) == 1
    for table in ("planned", "action", "action_state"):
        people.connection.execute(f"delete from activation.{table}")
    plan_action(people.connection, action(), people.outbox, 9, AS_OF)
    people.hand_over()
    assert people.waiting("select count(*) from outbox") == [(1,)]
