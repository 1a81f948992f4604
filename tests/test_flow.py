"""The whole graph as its users run it: from sample files to receipts, with one command.

Everything here goes through ``cdp`` in processes of its own, over a small sample, so
what is tested is what a terminal does. The first run is shared; tests that change the
state work on a copy.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cdp_assets.digests import ARRIVAL, digests
from cdp_assets.paths import PROJECT
from cdp_assets.segments.spec import ON_CHANGE, load_segments

Cdp = Callable[..., str]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow")]


def tables(root: Path, *schemas: str) -> dict[str, str]:
    """Digests of whole schemas, without how rows arrived."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return digests(connection, schemas, exclude=ARRIVAL)


def ask(root: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def copy(first_run: tuple[Path, str], tmp_path: Path) -> Path:
    """The same state in a folder of the test's own."""
    root = tmp_path / "data"
    shutil.copytree(first_run[0], root, symlinks=True)
    return root


def test_one_command_goes_from_files_to_receipts(first_run: tuple[Path, str]) -> None:
    root, printed = first_run
    assert "WARN" not in printed
    for words in (
        "Checks that warn",
        "The samples contain faults on purpose",
        "Streams",
        "consolidation rate",
        "exact rules alone",
        "lifetime_value",
        "cart_abandoners",
        "no consent",
    ):
        assert words in printed
    (links, records) = ask(
        root,
        """
        select (select count(*) from identity.unified_link_individual),
            (select count(*) from dmo.individual)
        """,
    )[0]
    assert links == records > 300
    outcomes = dict(
        ask(root, "select outcome, count(*) from dlo.system_receipt group by 1")
    )
    assert outcomes["delivered"] > 0
    assert outcomes["withheld"] > 0


def test_rows_are_conserved_in_every_load(first_run: tuple[Path, str]) -> None:
    """A row that is neither loaded nor quarantined nor named superseded is lost."""
    assert not ask(
        first_run[0],
        """
        from ops.load where rows_in <> inserted + updated + deleted + unchanged
            + superseded + quarantined
        """,
    )


def test_a_script_written_by_hand_makes_the_same_tables(copy: Path) -> None:
    """The benchmark's floor had stayed behind, and its ratios compared two things."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.floor", copy / "samples", copy],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout.splitlines()[-1])["different"] == []


def test_every_delivery_names_a_consent_that_allows_it(
    first_run: tuple[Path, str],
) -> None:
    """Consent that is filtered in a segment is stale by the time the message leaves."""
    unfounded = ask(
        first_run[0],
        """
        select r.receipt_id from dlo.system_receipt as r
        left join dmo.contact_point_consent as c on c.id = r.consent_record
        where r.outcome = 'delivered' and r.operation <> 'remove'
            and coalesce(c.consent_status_id, '') <> 'opt_in'
        """,
    )
    assert not unfounded


def test_a_second_run_finds_nothing_to_do_and_says_so(cdp: Cdp, copy: Path) -> None:
    """A file that no stream takes is told each time, and is nothing to do."""
    stray = _made(copy / "inbox" / "crm_contat") / "contacts.csv"
    stray.write_text("Id\n")
    with sqlite3.connect(copy / "outbox.sqlite") as outbox:
        outbox.execute(
            "update outbox set state = 'pending' where sequence = "
            "(select max(sequence) from outbox where activation = 'cart_abandoners')"
        )
    outbox.close()
    started = time.monotonic()
    printed = cdp(copy, "run", "--samples")
    assert "crm_contat/contacts.csv: 'crm_contat' is not a declared stream" in printed
    assert "cart_abandoners waits for the environment's CDP_CART_WEBHOOK_URL" in printed
    assert "Nothing new" in printed
    assert "Unchanged since the last run" in printed
    assert time.monotonic() - started < 30


def test_running_everything_again_changes_no_table(cdp: Cdp, copy: Path) -> None:
    """Idempotence by doing the work, not by skipping it."""
    printed = cdp(copy, "run", "--force")
    assert "Unchanged since the last run" in printed, printed[-3000:]


def test_the_same_files_in_another_order_and_split_give_the_same_people(
    cdp: Cdp, first_run: tuple[Path, str], tmp_path: Path
) -> None:
    """Two waves, the files of each in reverse order, some delivered twice."""
    root = tmp_path / "data"
    source = first_run[0] / "samples"
    streams = [path for path in source.iterdir() if path.is_dir()]
    early = [path for stream in streams for path in sorted(stream.iterdir())[::2]]
    late = [path for stream in streams for path in sorted(stream.iterdir())[1::2]]
    shutil.copy(first_run[0] / "as_of", _made(root) / "as_of")
    for wave in (early, late + early[:5]):
        for path in reversed(wave):
            inbox = _made(root / "inbox" / path.parent.name)
            shutil.copy(path, inbox / f"again-{path.name}")
            (inbox / f"again-{path.name}.done").touch()
        cdp(root, "run")
    compared = ("dlo", "dmo", "unified", "insights")
    expected = tables(first_run[0], *compared)
    found = tables(root, *compared)
    skipped = {"dlo.system_receipt"}
    # Ids depend on history by nature; who belongs together must not.
    by_id = {
        name
        for name in expected
        if name.startswith(("unified.", "insights.")) or name in skipped
    }
    assert {k: v for k, v in found.items() if k not in by_id} == {
        k: v for k, v in expected.items() if k not in by_id
    }
    assert _partition(root) == _partition(first_run[0])
    assert _members(root) == _members(first_run[0])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _partition(root: Path) -> list[tuple[object, ...]]:
    return ask(
        root,
        """
        select list(record order by record) as records
        from identity.unified_link_individual group by unified_individual_id
        order by records
        """,
    )


def _members(root: Path) -> list[tuple[object, ...]]:
    """Who is in the segments that every run evaluates."""
    rows = ask(
        root,
        """
        select m.segment, min(l.record) as person
        from segments.membership as m
        join identity.unified_link_individual as l using (unified_individual_id)
        where m.left_at is null group by m.segment, m.unified_individual_id order by all
        """,
    )
    always = {
        name for name, spec in load_segments().items() if spec.evaluate == ON_CHANGE
    }
    assert always
    return [row for row in rows if row[0] in always]


def test_a_killed_run_is_caught_up_by_the_next(
    cdp: Cdp, first_run: tuple[Path, str], tmp_path: Path
) -> None:
    """kill -9 midway leaves neither half a load nor a lost or doubled message."""
    root = tmp_path / "data"
    shutil.copytree(first_run[0] / "samples", root / "samples")
    environment = {**os.environ, "CDP_DATA": str(root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cdp_assets.cli", "run", "--samples"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "identity/unified_link_individual" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    cdp(root, "run", "--samples")
    schemas = ("dlo", "dmo", "identity", "unified", "insights")
    expected, found = tables(first_run[0], *schemas), tables(root, *schemas)
    for name in ("dlo.system_receipt", "identity.run", "identity.unified_link_account"):
        expected.pop(name), found.pop(name)
    assert _partition(root) == _partition(first_run[0])
    assert found["dmo.individual"] == expected["dmo.individual"]
    assert found["insights.lifetime_value"] == expected["insights.lifetime_value"]
    keys = (
        "select activation, count(*) from outbox where state <> 'superseded' group by 1"
    )
    with (
        sqlite3.connect(first_run[0] / "outbox.sqlite") as one,
        sqlite3.connect(root / "outbox.sqlite") as other,
    ):
        assert sorted(one.execute(keys)) == sorted(other.execute(keys))
    one.close()
    other.close()


def test_a_profile_is_found_by_any_key(cdp: Cdp, first_run: tuple[Path, str]) -> None:
    root = first_run[0]
    person, address = ask(
        root,
        """
        select unified_individual_id, email_address
        from unified.unified_contact_point_email
        qualify count(*) over (partition by email_address) = 1 order by 1 limit 1
        """,
    )[0]
    by_mail = json.loads(cdp(root, "profile", "--json", str(address)))
    by_id = json.loads(cdp(root, "profile", "--json", str(person)))
    assert by_mail == by_id
    assert str(person) in cdp(root, "profile", str(address))


def test_the_commands_that_a_run_ends_with_work(
    cdp: Cdp, first_run: tuple[Path, str]
) -> None:
    """A newcomer types what stands there."""
    root, printed = first_run
    _, _, told = printed.partition("Go on with\n")
    commands = [line.split() for line in told.splitlines() if ".venv/bin/cdp" in line]
    assert [words[1] for words in commands] == ["profile", "why", "catalog"]
    for _, *arguments in commands:
        assert cdp(root, *arguments)


def test_the_catalogue_shows_what_was_declared_and_seen(
    cdp: Cdp,
    first_run: tuple[Path, str],
) -> None:
    printed = cdp(first_run[0], "catalog")
    assert "crm_contact" in printed
    assert "authoritative" in printed.lower()
