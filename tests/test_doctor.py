"""The doctor: each check finds its trouble in a real folder, none in a good one."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from cdp_assets.activation.outbox import Outbox
from cdp_assets.defs.history import history
from cdp_assets.defs.launch import PID_TAG, announce
from cdp_assets.operations import doctor, place_checks, screen
from cdp_assets.operations.backup import backup
from cdp_assets.operations.doctor import examine, worst
from cdp_assets.operations.facts import History, RunFact
from cdp_assets.operations.findings import Finding
from cdp_assets.operations.gathering import gather
from cdp_assets.operations.integrity import check_thoroughly
from cdp_assets.paths import Paths
from cdp_assets.runs import pin_as_of
from cdp_assets.streams.dlo import ensure_tables
from cdp_assets.streams.landing import land
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import MIGRATIONS, Warehouse, migrate, utc_now

Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def healthy(
    paths: Paths, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> Paths:
    """A loaded warehouse, a backup of this night, room on the disk."""
    monkeypatch.setattr(
        "cdp_assets.operations.gathering.shutil.disk_usage",
        lambda _: Disk(100 << 30, 50 << 30, 50 << 30),
    )
    with warehouse.writing("a test") as connection:
        ensure_tables(connection, load_streams().values())
    backup(paths)
    return paths


def alive(*runs: RunFact) -> History:
    return History(runs=runs, daemon_at=utc_now())


def run(status: str = "SUCCESS", hours: float = 0, **changes: object) -> RunFact:
    at = utc_now() - dt.timedelta(hours=hours)
    fact = RunFact("0123456789", "everything", status, at, at, False, False)
    return replace(fact, **changes)  # type: ignore[arg-type]


def troubles(paths: Paths, known: History | None = None) -> dict[str, Finding]:
    found = examine(gather(paths, known or alive()))
    return {each.check: each for each in found if each.level != "ok"}


def only(paths: Paths, check: str, known: History | None = None) -> Finding:
    """The one trouble there is, with what to do about it."""
    found = troubles(paths, known)
    assert list(found) == [check], found
    assert found[check].next
    return found[check]


def write(paths: Paths, sql: str) -> None:
    with Warehouse(paths).writing("a test") as connection:
        connection.execute(sql)


def test_a_healthy_platform_has_nothing_to_say(healthy: Paths) -> None:
    findings = examine(gather(healthy, alive(run())))
    assert [each for each in findings if each.level != "ok"] == []
    assert {each.check for each in findings} == {c.__name__ for c in doctor.CHECKS}
    assert worst(findings) == "ok"


def test_nothing_yet_is_no_trouble(paths: Paths) -> None:
    assert set(troubles(paths)) <= {"disk_space"}
    assert not paths.warehouse.exists()


def test_a_full_disk(healthy: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((1 << 30, "warning"), (1 << 28, "failure")):
        monkeypatch.setattr(
            "cdp_assets.operations.gathering.shutil.disk_usage",
            lambda _, free=free: Disk(100 << 30, 0, free),
        )
        assert only(healthy, "disk_space").level == level


def test_a_restore_left_half_done(healthy: Paths) -> None:
    healthy.restoring.touch()
    assert only(healthy, "restore_finished").level == "failure"


@pytest.mark.parametrize("victim", ["warehouse.duckdb", "outbox.sqlite"])
def test_a_file_that_is_no_database(healthy: Paths, victim: str) -> None:
    (healthy.root / victim).write_bytes(b"not a database" * 1000)
    finding = only(healthy, "files_are_whole")
    assert finding.level == "failure"
    assert victim in finding.says


def test_a_backup_that_rotted(healthy: Paths) -> None:
    (manifest,) = healthy.backups.glob("*/manifest.json")
    manifest.write_text(manifest.read_text().replace('"rows": 0', '"rows": 1', 1))
    assert "files_are_whole" in troubles(healthy)


def test_a_flipped_block_shows_in_the_thorough_check(healthy: Paths) -> None:
    write(healthy, "create table ops.many as select random() as n from range(300000)")
    assert check_thoroughly(healthy) == []
    content = bytearray(healthy.warehouse.read_bytes())
    content[len(content) // 2] ^= 255
    healthy.warehouse.write_bytes(content)
    (damage,) = check_thoroughly(healthy)
    assert damage.startswith("warehouse.duckdb")


def test_a_lock_held_for_hours(healthy: Paths) -> None:
    with Warehouse(healthy).locked("an endless load"):
        facts = gather(healthy, alive())
        late = replace(facts, at=facts.at + place_checks.LONGEST_HOLD * 1.01)
        (finding,) = place_checks.lock_moves(late)
        assert list(place_checks.lock_moves(facts)) == []
    assert "an endless load" in finding.says


def test_a_lock_that_a_dead_process_left_to_its_child(healthy: Paths) -> None:
    """The one case that the operating system cannot free."""
    script = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from cdp_assets import lock
        with lock.held(Path(sys.argv[1]), "a parent", exclusive=True,
                       wait_seconds=1, say=print):
            if os.fork() == 0:
                sys.stdin.readline()
                os._exit(0)
            os._exit(0)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(healthy.lock)],
        stdin=subprocess.PIPE,
        text=True,
    ) as process:
        process.wait(10)
        finding = {f.check: f for f in examine(gather(healthy, alive()))}["lock_moves"]
        process.communicate("\n")
    assert finding.level == "failure"


def test_while_somebody_writes_nothing_is_claimed_of_the_inside(healthy: Paths) -> None:
    """Taken for well, a stale stream would be told to be over during a load."""
    with Warehouse(healthy).writing("a long load"):
        facts = gather(healthy, alive())
    findings = {each.check: each for each in examine(facts)}
    assert "not looked at" in findings["streams_are_fresh"].says
    assert "a long load" in findings["streams_are_fresh"].says
    assert "a long load" in screen.status_text(facts)


def test_migrations_that_wait(healthy: Paths, tmp_path: Path) -> None:
    """A warehouse of an earlier version is not a damaged one."""
    first = tmp_path / "first_version"
    first.mkdir()
    shutil.copy(MIGRATIONS / "0001_contracts.sql", first)
    healthy.warehouse.unlink()
    with duckdb.connect(str(healthy.warehouse)) as connection:
        migrate(connection, first)
    assert only(healthy, "migrations_applied").level == "warning"


def test_a_run_whose_process_is_gone(healthy: Paths, tmp_path: Path) -> None:
    """Its place would stay taken, and no wave would be asked for again."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        made = dg.DagsterRun("everything", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(made)
        instance.add_run_tags(made.run_id, {PID_TAG: "1"})
        known = replace(history(instance, healthy), daemon_at=utc_now())
        assert only(healthy, "runs_move", known).level == "failure"
        announce(instance, healthy, made)
        known = replace(history(instance, healthy), daemon_at=utc_now())
        assert troubles(healthy, known) == {}


def test_a_run_that_takes_hours_and_one_that_failed(healthy: Paths) -> None:
    slow = run("STARTED", hours=7, is_in_flight=True, ended_at=None)
    assert only(healthy, "runs_move", alive(slow)).level == "warning"
    assert only(healthy, "last_run_succeeded", alive(run("FAILURE"), run())).level
    assert troubles(healthy, alive(run(), run("FAILURE"))) == {}


def test_a_daemon_that_does_not_run(healthy: Paths) -> None:
    silent = History(daemon_at=utc_now() - dt.timedelta(hours=3))
    assert "3 h" in only(healthy, "daemon_runs", silent).says
    assert "yet" in only(healthy, "daemon_runs", History()).says


def test_a_stream_that_went_silent(healthy: Paths) -> None:
    write(
        healthy,
        """
        insert into dlo.crm_contact (Id, _record_id, _modified_at, _is_deleted)
        values ('1', '1', '2020-01-01', false)
        """,
    )
    assert "crm_contact" in only(healthy, "streams_are_fresh").says


def test_rows_in_quarantine_and_files_refused_or_held(healthy: Paths) -> None:
    write(
        healthy,
        """
        insert into ops.quarantine values
            ('crm_contact', 'f', 1, 'Id', 'null', 'x', 1, null),
            ('crm_lead', 'f', 1, 'Id', 'null', 'x', 1, 2)
        """,
    )
    assert "crm_contact: 1 row " in only(healthy, "quarantine_is_read").says
    write(healthy, "delete from ops.quarantine")
    for outcome in ("unreadable", "held"):
        write(
            healthy,
            f"""
            delete from ops.landed_file;
            insert into ops.landed_file
                (stream, content_sha256, file, bytes, rows, load_seq, outcome)
            values ('crm_contact', 'abc', 'f', 1, 0, 1, '{outcome}')
            """,
        )
        assert "crm_contact: 1 file " in only(healthy, "files_were_read").says


def test_people_that_a_gate_holds(healthy: Paths) -> None:
    write(
        healthy,
        """
        insert into identity.run (run, object, started_at, as_of, status, gate)
        values (7, 'individual', now(), now(), 'held', 'largest_person')
        """,
    )
    finding = only(healthy, "identity_is_published")
    assert finding.level == "failure"
    assert "largest_person" in finding.says
    write(
        healthy,
        """
        insert into identity.run (run, object, started_at, as_of, status)
        values (8, 'individual', now(), now(), 'promoted')
        """,
    )
    assert troubles(healthy) == {}


@pytest.mark.parametrize(
    ("state", "words"), [("dead", "1 dead letter"), ("pending", "1 change on the way")]
)
def test_changes_that_do_not_arrive(healthy: Paths, state: str, words: str) -> None:
    with Outbox(healthy.outbox).connect() as outbox:
        outbox.execute(
            """
            insert into outbox (idempotency_key, activation, segment,
                unified_individual_id, operation, cause, payload, planned_run,
                planned_at, state, next_attempt_at)
            values ('k', 'cart_abandoners', 's', 'u', 'add', 'entered', '{}', 1,
                '2020-01-01T00:00:00.000000', ?, '')
            """,
            [state],
        )
    assert words in only(healthy, "deliveries_arrive").says


def test_no_backup_or_an_old_one(healthy: Paths) -> None:
    facts = gather(healthy, alive())
    late = replace(facts, at=facts.at + dt.timedelta(hours=31))
    assert [each.level for each in place_checks.backup_is_recent(late)] == ["warning"]
    assert (
        "no backup"
        in next(place_checks.backup_is_recent(replace(late, backup=None))).says
    )


def test_a_pinned_clock(healthy: Paths) -> None:
    pin_as_of(healthy, dt.datetime(2026, 11, 1))
    assert "2026-11-01" in only(healthy, "clock_is_live").says


def test_status_shows_everything_and_both_speak_json(
    healthy: Paths, cdp: Callable[..., str]
) -> None:
    land(healthy, "crm_contact", "one.csv", b"Id\n1\n")
    printed = cdp(healthy.root, "status")
    assert "crm_contact" in printed
    assert "1 file waiting" in printed
    for title in ("lock", "runs", "people", "outbox", "backup", "clock"):
        assert f"\n{title:<12}" in printed
    status = json.loads(cdp(healthy.root, "status", "--json"))
    assert status["is_lock_free"] is True
    findings = json.loads(cdp(healthy.root, "doctor", "--json", check=False))
    assert {each["check"] for each in findings} == {c.__name__ for c in doctor.CHECKS}


def test_the_exit_code_says_how_bad_it_is(healthy: Paths) -> None:
    def code() -> int:
        return subprocess.run(
            [sys.executable, "-m", "cdp_assets.cli", "doctor"],
            env={**os.environ, "CDP_DATA": str(healthy.root)},
            capture_output=True,
            check=False,
        ).returncode

    # Nothing but a daemon that does not run, and the disk of this machine.
    assert code() in {1, 2}
    healthy.restoring.touch()
    assert code() == 2
