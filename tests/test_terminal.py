"""``cdp run``: alone at its work, and telling what an operator must know."""

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cdp_assets.activation.outbox import Outbox
from cdp_assets.dbt_faults import faults
from cdp_assets.defs.launch import sole_terminal, terminal_is_at_work
from cdp_assets.defs.waves import in_flight
from cdp_assets.paths import Paths
from cdp_assets.runs import pin_as_of
from cdp_assets.summary import waiting
from cdp_assets.terminal import URL, failure, receiver_of_samples, take_in

ALONE = """
import sys, time
from pathlib import Path
from cdp_assets.defs.launch import sole_terminal
from cdp_assets.paths import Paths
with sole_terminal(Paths(Path(sys.argv[1])), lambda text: print(text, flush=True)):
    print("at work", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def terminals(paths: Paths) -> Iterator[list[subprocess.Popen[str]]]:
    """Two processes that each want to be the only one, started at one instant."""
    command = [sys.executable, "-c", ALONE, str(paths.root)]
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)
    ]
    yield both
    for process in both:
        process.kill()
        process.communicate()


def test_messages_from_data_of_ones_own_wait_for_their_receiver(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They went to a receiver that nobody reads, and counted as delivered."""
    monkeypatch.delenv(URL, raising=False)
    with receiver_of_samples(paths):
        assert URL not in os.environ
    pin_as_of(paths, dt.datetime(2026, 11, 1))
    with receiver_of_samples(paths):
        assert os.environ[URL].startswith("http://127.0.0.1:")
    assert URL not in os.environ


def test_of_two_at_one_instant_one_waits_and_says_so(
    terminals: list[subprocess.Popen[str]], paths: Paths
) -> None:
    """Both would find nothing in flight, and both would run."""
    said = {process.pid: process.stdout.readline().strip() for process in terminals}
    assert sorted(said.values()) == [
        "at work",
        "waiting for another `cdp run`, which is in progress",
    ]
    assert terminal_is_at_work(paths)
    first = next(each for each in terminals if said[each.pid] == "at work")
    (second,) = (each for each in terminals if each is not first)
    first.communicate("done\n", timeout=20)
    assert second.stdout.readline().strip() == "at work"
    second.communicate("done\n", timeout=20)
    assert not terminal_is_at_work(paths)


def test_a_killed_one_keeps_nobody_waiting(
    terminals: list[subprocess.Popen[str]], paths: Paths
) -> None:
    for process in terminals:
        process.stdout.readline()
        process.kill()
        process.wait()
    assert not terminal_is_at_work(paths)


def test_the_sensor_asks_for_nothing_while_a_terminal_is_at_work(paths: Paths) -> None:
    """A run shows in Dagster's records only seconds after the terminal began."""
    with dg.DagsterInstance.ephemeral() as instance:
        with sole_terminal(paths, print):
            assert in_flight(instance, paths) == "`cdp run` is at work in a terminal"
        assert in_flight(instance, paths) is None


def test_what_no_stream_takes_is_told_with_its_reason_and_stays(paths: Paths) -> None:
    """It used to count as waiting, and nobody said for what."""
    lost = paths.inbox / "crm_contat" / "contacts.csv"
    good = paths.inbox / "crm_contact" / "contacts.csv"
    for path in (lost, good):
        path.parent.mkdir(parents=True)
        path.write_text("Id\n1\n")
    refused = take_in(paths)
    assert list(refused) == ["crm_contat/contacts.csv"]
    assert "not a declared stream" in refused["crm_contat/contacts.csv"]
    assert lost.exists()
    # Copied a moment ago and the same at a second look: it is what was meant.
    assert not good.exists()
    assert len(list((paths.landing / "crm_contact").iterdir())) == 1


def test_a_file_that_is_still_written_is_left_and_named(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    growing = paths.inbox / "crm_contact" / "contacts.csv"
    growing.parent.mkdir(parents=True)
    growing.write_text("Id\n")
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "for _ in range(200):\n"
            "    open(sys.argv[1], 'a').write('1\\n'); time.sleep(0.05)",
            str(growing),
        ]
    )
    try:
        while growing.stat().st_size < 10:
            time.sleep(0.05)
        assert take_in(paths) == {}
    finally:
        writer.kill()
        writer.wait()
    assert growing.exists()
    assert "crm_contact/contacts.csv is still being written" in capsys.readouterr().out


def test_a_failure_says_what_is_at_fault_once_and_what_next(tmp_path: Path) -> None:
    told = failure(["dlo__a: no such column", "dlo__a: no such column"], tmp_path)
    assert told.count("dlo__a: no such column") == 1
    assert "`cdp run` again" in told


def test_changes_that_wait_are_counted(paths: Paths) -> None:
    assert waiting(paths) == {}
    with Outbox(paths.outbox).connect() as connection:
        for number, state in enumerate(("pending", "delivering", "dead"), start=1):
            connection.execute(
                """
                insert into outbox (sequence, idempotency_key, activation, segment,
                    unified_individual_id, operation, cause, payload, planned_run,
                    planned_at, next_attempt_at, state)
                values (?, ?, 'carts', 's', 'p', 'add', 'c', '{}', 1, '', '', ?)
                """,
                [number, str(number), state],
            )
    assert waiting(paths) == {"carts": 2}


NODES = {
    "model.cdp.crm_contact__individual": {
        "resource_type": "model",
        "schema": "map",
        "name": "crm_contact__individual",
        "original_file_path": "models/map/crm/crm_contact__individual.sql",
    },
    "model.cdp.individual": {
        "resource_type": "model",
        "schema": "dmo",
        "name": "individual",
        "original_file_path": "models/dmo/individual.sql",
    },
    "test.cdp.unique_individual_id.1": {
        "resource_type": "test",
        "name": "unique_individual_id",
        "attached_node": "model.cdp.individual",
        "original_file_path": "models/dmo/individual.yml",
    },
}


def test_a_dbt_build_names_the_mapping_and_the_check_at_fault() -> None:
    """Where dbt wrote its log helps nobody at a terminal."""
    told = faults(
        [
            {
                "unique_id": "model.cdp.crm_contact__individual",
                "status": "error",
                "message": "Runtime Error in model crm_contact__individual "
                "(models/map/crm/crm_contact__individual.sql)\n"
                '  Binder Error: Referenced column "Phon" not found in FROM clause!\n'
                '  Candidate bindings: "Phone"\n\n  LINE 14: ...\n  ^\n',
            },
            {
                "unique_id": "model.cdp.individual",
                "status": "skipped",
                "message": None,
            },
            {
                "unique_id": "test.cdp.unique_individual_id.1",
                "status": "fail",
                "message": "Got 3 results, configured to fail if != 0",
            },
        ],
        NODES,
    )
    mapping, check = told
    assert mapping.startswith(
        "mapping map.crm_contact__individual "
        "(dbt_project/models/map/crm/crm_contact__individual.sql): Binder Error: "
    )
    assert '"Phone"' in mapping
    assert check == (
        "check unique_individual_id of dmo.individual "
        "(dbt_project/models/dmo/individual.yml): "
        "Got 3 results, configured to fail if != 0"
    )
