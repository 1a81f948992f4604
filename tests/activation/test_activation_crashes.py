"""Killed senders: at every point, nothing is lost and nothing is acted on twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.outbox import as_text
from cdp_assets.activation.receipts import STREAM, acknowledge
from cdp_assets.activation.receiver import Receiver
from cdp_assets.activation.settlement import settle
from cdp_assets.streams.landing import landed, waiting
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import transaction, utc_now

# Delivers as a run does, and kills itself at the point it is told.
SENDER = """
import os, signal, sys
from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.destinations.opening import open_destination
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.paths import Paths
from cdp_assets.runs import parse_instant
from cdp_assets.warehouse import utc_now
from pathlib import Path

root, declared, at, point, number = sys.argv[1:]
paths, spec = Paths(Path(root)), ActivationSpec.model_validate_json(declared)
inner = open_destination(spec, paths)
seen = 0

def die(here):
    global seen
    if here == point:
        seen += 1
        if seen == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

class Deadly:
    label, batch, interval = inner.label, inner.batch, inner.interval
    concurrency, breaker_failures = inner.concurrency, inner.breaker_failures

    def send(self, batch):
        die("before the call")
        replies = inner.send(batch)
        die("after the call")
        return replies

def clock():
    # The claim is committed before a thread looks at the clock for its attempt.
    import threading
    if threading.current_thread() is not threading.main_thread():
        die("after the claim")
    return utc_now()

deliver(Outbox(paths.outbox), spec, Deadly(), at=parse_instant(at), now=clock)
"""

ACKNOWLEDGER = """
import os, signal, sys
from pathlib import Path
from cdp_assets.activation import receipts
from cdp_assets.activation.outbox import Outbox
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now

paths = Paths(Path(sys.argv[1]))
landing = receipts.land

def land_and_die(*arguments):
    landing(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

receipts.land = land_and_die
receipts.acknowledge(Outbox(paths.outbox), paths, utc_now())
"""


@pytest.fixture
def sender(world: Any, hook: dict[str, str], as_of: Any) -> Any:
    def start(spec: Any, point: str, number: int = 1) -> subprocess.Popen[bytes]:
        arguments = [
            str(world.paths.root),
            spec.model_dump_json(),
            as_text(as_of),
            point,
            str(number),
        ]
        return subprocess.Popen(
            [sys.executable, "-c", SENDER, *arguments], env={**os.environ, **hook}
        )

    return start


def acted(receiver: Receiver) -> list[str]:
    return [json.loads(line)["id"] for line in receiver.path.read_text().splitlines()]


@pytest.mark.parametrize(
    "point", ["after the claim", "before the call", "after the call"]
)
def test_a_sender_killed_at_any_point_loses_and_repeats_nothing(
    world: Any,
    activation: Any,
    hook: dict[str, str],
    receiver: Receiver,
    sender: Any,
    as_of: Any,
    point: str,
) -> None:
    for number in range(12):
        world.person(f"p{number:02}")
    world.send_off(activation())

    assert sender(activation(), point, 6).wait(30) == -signal.SIGKILL
    assert "delivering" in world.states().values()
    result = deliver_activation(
        world.outbox, activation(), world.paths, environ=hook, at=as_of
    )

    assert result.status == "done"
    keys = {key for (key,) in world.waiting("select idempotency_key from outbox")}
    assert sorted(acted(receiver)) == sorted(keys)
    assert set(world.states().values()) == {"delivered"}
    assert world.waiting("select count(*), count(distinct sequence) from receipt") == [
        (12, 12)
    ]
    interrupted = world.waiting(
        "select count(*) from attempt where outcome = 'interrupted'"
    )
    assert interrupted > [(0,)]


def test_a_sender_killed_at_random_again_and_again_gets_there(
    world: Any,
    activation: Any,
    hook: dict[str, str],
    receiver: Receiver,
    sender: Any,
    as_of: Any,
) -> None:
    rng = random.Random(11)
    receiver.faults.rate = 1.0
    receiver.faults.kinds = ("slow",)
    receiver.faults.slow_seconds = 0.03
    for number in range(100):
        world.person(f"p{number:03}")
    world.send_off(activation())

    kills = 0
    for _ in range(2):
        process = sender(activation(), "never")
        before = receiver.acted
        # Start-up takes most of a second; what counts is being killed at work.
        while receiver.acted == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.2)
        process.kill()
        kills += process.wait(30) == -signal.SIGKILL
    result = deliver_activation(
        world.outbox, activation(), world.paths, environ=hook, at=as_of
    )

    assert kills == 2
    assert result.status == "done"
    assert len(acted(receiver)) == len(set(acted(receiver))) == 100


def test_a_sender_of_files_killed_after_the_rename_writes_the_same_file(
    world: Any, activation: Any, sender: Any, as_of: Any
) -> None:
    spec = activation(destination={"kind": "file", "format": "csv"})
    for number in range(5):
        world.person(f"p{number}")
    world.send_off(spec)
    assert sender(spec, "after the call").wait(30) == -signal.SIGKILL
    (file,) = (world.paths.outgoing / "welcome").iterdir()
    before = (file.name, file.read_bytes())
    world.person("late")
    world.send_off(spec)

    result = deliver_activation(world.outbox, spec, world.paths, at=as_of)

    assert result.delivered == 6
    first, second = sorted((world.paths.outgoing / "welcome").iterdir())
    assert (first.name, first.read_bytes()) == before
    assert second.read_text().count("msg_") == 1


def test_receipts_are_landed_once_even_if_the_landing_was_killed(
    world: Any, activation: Any, hook: dict[str, str], as_of: Any
) -> None:
    """A receipt counted twice says that a person was written to twice."""
    world.person("ada")
    world.send_off(activation())
    deliver_activation(world.outbox, activation(), world.paths, environ=hook, at=as_of)
    command = [sys.executable, "-c", ACKNOWLEDGER, str(world.paths.root)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    world.person("bob")
    world.send_off(activation())
    deliver_activation(world.outbox, activation(), world.paths, environ=hook, at=as_of)

    done = acknowledge(world.outbox, world.paths, utc_now())

    assert (done.receipts, done.files) == (2, 2)
    contents = {path.read_bytes() for path in landed(world.paths, STREAM)}
    lines = [json.loads(line) for one in contents for line in one.splitlines()]
    assert sorted(line["unified_individual_id"] for line in lines) == ["ada", "bob"]
    assert acknowledge(world.outbox, world.paths, utc_now()).files == 0


def test_a_landed_receipt_has_every_field_of_its_stream_and_no_contact_point(
    world: Any, activation: Any, hook: dict[str, str], as_of: Any
) -> None:
    world.person("ada")
    world.person("bob", consent=None)
    world.send_off(activation())
    deliver_activation(world.outbox, activation(), world.paths, environ=hook, at=as_of)
    acknowledge(world.outbox, world.paths, utc_now())
    spec = load_streams()[STREAM]

    (file,) = waiting(world.connection, world.paths, spec)

    lines = [json.loads(line) for line in Path(file).read_text().splitlines()]
    assert all(set(line) == set(spec.fields) for line in lines)
    required = [name for name, field in spec.fields.items() if field.required]
    assert all(line[name] is not None for line in lines for name in required)
    by_person = {line["unified_individual_id"]: line for line in lines}
    assert by_person["ada"]["outcome"] == "delivered"
    assert by_person["ada"]["consent_record"] == "consent_log:1"
    assert by_person["bob"]["reason"] == "no consent row"
    assert "example.test" not in file.read_text()


def test_a_run_killed_before_it_settled_settles_with_the_next(
    world: Any, activation: Any, hook: dict[str, str], as_of: Any
) -> None:
    world.person("ada")
    world.send_off(activation())
    deliver_activation(world.outbox, activation(), world.paths, environ=hook, at=as_of)

    assert world.row("select outcome from activation.sent_state") == ("pending",)
    assert world.plan(activation()).planned == 0
    assert world.row("select outcome, is_held from activation.sent_state") == (
        "delivered",
        True,
    )
    with transaction(world.connection):
        assert settle(world.connection, world.outbox) == 0
