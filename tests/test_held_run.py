"""A batch that fails a gate, as its operator lives through it.

People stay as they were, an opt-out that came with the batch is obeyed all the same,
and a release publishes what was held.
"""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cdp_assets.digests import digests

Cdp = Callable[..., str]
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("flow")]
PEOPLE = "identity.unified_link_individual"


def ask(root: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def people(root: Path) -> str:
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return digests(connection, ["identity"])[PEOPLE]


def drop(root: Path, stream: str, header: Path, rows: list[dict[str, str]]) -> None:
    """Drop rows for a stream, with the columns of one of its own files."""
    columns = header.read_text(encoding="utf-8").splitlines()[0].split(",")
    file = root / "inbox" / stream / "wave.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns)
        writer.writeheader()
        writer.writerows(rows)
    file.with_name("wave.csv.done").touch()


def hourly(root: Path) -> None:
    """The job that goes on every hour, whatever became of the last wave."""
    subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "job", "execute"),
            *("-m", "cdp_assets.definitions", "-j", "insights_hourly"),
        ],
        env={
            **os.environ,
            "CDP_DATA": str(root),
            "DAGSTER_HOME": str(root / "dagster"),
        },
        check=True,
        capture_output=True,
        timeout=600,
    )


def test_a_held_batch_waits_an_opt_out_does_not_and_a_release_publishes(
    cdp: Cdp, first_run: tuple[Path, str], tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(first_run[0], root, symlinks=True)
    samples = root / "samples"
    before = people(root)
    ((address, person),) = ask(
        root,
        """
        select contact_point_value, unified_individual_id from activation.sent_state
        where activation = 'promotion_audience' and outcome = 'delivered'
            and operation = 'add' order by 1 limit 1
        """,
    )
    drop(
        root,
        "crm_contact",
        next((samples / "crm_contact").glob("*.csv")),
        [
            {
                "Id": f"003Zz0000000{number:03}AAA",
                "FirstName": "Ottilie",
                "LastName": "Zwanziger",
                "Email": "ottilie@zwanziger.example.net",
                "CreatedDate": "2026-10-30T10:00:00.000Z",
                "LastModifiedDate": "2026-10-30T10:00:00.000Z",
                "SystemModstamp": "2026-10-30T10:00:00.000Z",
                "IsDeleted": "false",
            }
            for number in range(70)
        ],
    )
    drop(
        root,
        "consent_log",
        next((samples / "consent_log").glob("*.csv")),
        [
            {
                "consent_id": "cns-held",
                "captured_at": "2026-10-30T10:00:00Z",
                "source": "call_centre",
                "contact_point_type": "email",
                "contact_point_value": str(address),
                "purpose": "marketing",
                "channel": "email",
                "status": "opt_out",
            }
        ],
    )
    held = cdp(root, "run", check=False)
    assert "The run failed; the last good state stays" in held
    assert "largest_person: 70 is above the limit 60" in held
    assert "cdp identity release" in held
    assert people(root) == before
    hourly(root)
    assert people(root) == before
    assert ask(
        root,
        f"""
        select operation, outcome from activation.sent_state
        where activation = 'promotion_audience'
            and unified_individual_id = '{person}'
        """,
    ) == [("remove", "delivered")]
    said = cdp(root, "identity", "release", "--why", "a reseller's own people")
    assert "largest_person may be 70, above the limit 60, once" in said
    cdp(root, "run")
    assert people(root) != before
    assert ask(
        root,
        f"select max(n) from (select count(*) as n from {PEOPLE} "
        "group by unified_individual_id)",
    ) == [(70,)]
    assert ask(root, "select count(*) from identity.held_gate where used_run > 0") == [
        (1,)
    ]
