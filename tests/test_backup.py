"""Backups: destroyed and restored, the platform goes on as if nothing had happened."""

import datetime as dt
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cdp_assets.activation.outbox import Outbox
from cdp_assets.digests import digests
from cdp_assets.operations.backup import backup, backups
from cdp_assets.operations.contents import saved_tables
from cdp_assets.operations.manifest import NAME, BackupError, read_manifest
from cdp_assets.operations.restore import rehearse, restore
from cdp_assets.paths import Paths
from cdp_assets.streams.landing import land
from cdp_assets.warehouse import MIGRATIONS, Warehouse, migrate
from tests.benchmarks.waves import differences, drop_changes
from tests.benchmarks.waves import state as after_wave

# Every kind of value that a declared field or a bookkeeping column can hold.
STRANGE = """
    create table dlo.strange (
        "a ""b" varchar, n bigint, amount decimal(18, 4), "at" timestamp, born date,
        flag boolean, more json, list varchar[], pair struct(x double, y varchar[]),
        by_name map(varchar, timestamp), real double
    );
    insert into dlo.strange values
        ('ü''"\\n', 9007199254740993, 12345678901234.5678, '2026-02-03 04:05:06.789012',
         '0001-01-01', true, '{"a": [1.0, null]}', ['x', null], {'x': 0.1, 'y': []},
         map {'name': timestamp '2026-01-01'}, 'nan'),
        (null, null, null, null, null, null, null, null, null, null, 1e-310);
"""


@pytest.fixture
def living(paths: Paths, warehouse: Warehouse) -> Paths:
    with warehouse.writing("a test") as connection:
        connection.execute(STRANGE)
        connection.execute(
            """
            insert into identity.change (unified_individual_id, kind, run)
            select 'u_' || i, 'created', 1 from range(3) as t(i);
            create table dmo.individual as select 1 as n;
            """
        )
    return paths


def test_every_type_comes_back_as_it_was_and_sequences_go_on(living: Paths) -> None:
    made = backup(living)
    before = state(living)
    living.warehouse.unlink()
    restore(living, made)
    assert state(living) == before
    with Warehouse(living).writing("a test") as connection:
        assert connection.execute(
            """
            insert into identity.change (unified_individual_id, kind, run)
            values ('u_3', 'created', 2) returning seq
            """
        ).fetchone() == (4,)
        # A primary key that were gone would let a ledger entry in twice.
        with pytest.raises(duckdb.ConstraintException):
            connection.execute("insert into identity.change values (4, 'x', 'y', 1)")


def state(paths: Paths) -> dict[str, str]:
    with Warehouse(paths).reading() as connection:
        return {
            name: found
            for name, found in digests(
                connection, ["ops", "dlo", "identity", "segments", "activation"]
            ).items()
        }


def test_what_dbt_builds_is_not_in_it_and_what_stages_write_is(living: Paths) -> None:
    names = {table.full_name for table in read_manifest(backup(living)).tables}
    assert {
        "identity.registry",
        "identity.redirect",
        "identity.change",
        "identity.decision",
        "identity.labelled_pair",
        "identity.match_model",
        "segments.membership",
        "activation.planned",
        "activation.sent_state",
        "ops.run",
        "ops.mark",
        "ops.load",
        "ops.landed_file",
        "ops.quarantine",
        "ops.migration",
        "reference.phone",
    } <= names
    assert "dmo.individual" not in names


def test_a_living_warehouse_is_not_replaced_unless_told_to(living: Paths) -> None:
    made = backup(living)
    with Warehouse(living).writing("a test") as connection:
        connection.execute("insert into ops.mark values ('later', 1, 1)")
    with pytest.raises(BackupError, match="--replace"):
        restore(living, made)
    restore(living, made, replace=True)
    with Warehouse(living).reading() as connection:
        assert connection.execute("select count(*) from ops.mark").fetchone() == (0,)
    aside = living.warehouse.with_name("warehouse.duckdb.before-restore")
    with duckdb.connect(str(aside), read_only=True) as connection:
        assert connection.execute("select count(*) from ops.mark").fetchone() == (1,)


def damage(folder: Path, how: str) -> None:
    manifest = folder / NAME
    victim = folder / "tables" / "dlo.strange.parquet"
    if how == "a flipped byte":
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
    elif how == "a file that is gone":
        victim.unlink()
    elif how == "a file cut off":
        os.truncate(victim, victim.stat().st_size - 1)
    elif how == "an edited manifest":
        manifest.write_text(manifest.read_text().replace('"rows": 2', '"rows": 1', 1))
    elif how == "half a manifest":
        os.truncate(manifest, manifest.stat().st_size // 2)
    elif how == "no manifest":
        manifest.unlink()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("a flipped byte", "dlo.strange.parquet is damaged"),
        ("a file that is gone", "dlo.strange.parquet is missing"),
        ("a file cut off", "dlo.strange.parquet is damaged"),
        ("an edited manifest", "checksum"),
        ("half a manifest", "damaged"),
        ("no manifest", "is no backup"),
    ],
)
def test_a_damaged_backup_is_refused_and_nothing_is_touched(
    living: Paths, how: str, words: str
) -> None:
    made = backup(living)
    damage(made, how)
    before = living.warehouse.read_bytes()
    with pytest.raises(BackupError, match=words):
        restore(living, made, replace=True)
    assert living.warehouse.read_bytes() == before
    assert not living.restoring.exists()


def test_a_newer_backup_is_refused(living: Paths) -> None:
    with Warehouse(living).writing("a test") as connection:
        connection.execute(
            "insert into ops.migration values (9999, '9999_of_tomorrow', now())"
        )
    with pytest.raises(BackupError, match="newer version"):
        restore(living, backup(living), replace=True)


def test_the_folder_of_backups_is_not_taken_for_one(living: Paths) -> None:
    made = backup(living)
    with pytest.raises(BackupError, match=made.name):
        restore(living, made.parent, replace=True)


def test_before_an_upgrade_the_old_warehouse_is_backed_up_as_it_is(
    paths: Paths, tmp_path: Path
) -> None:
    """Migrated first, there would be no way back to the version it came from."""
    first = tmp_path / "first_version"
    first.mkdir()
    shutil.copy(MIGRATIONS / "0001_contracts.sql", first)
    with duckdb.connect(str(paths.warehouse)) as connection:
        migrate(connection, first)
        connection.execute("insert into ops.mark values ('old', 7, 1)")
    landed = land(paths, "crm_contact", "one.csv", b"Id\n1\n")
    made = backup(paths)
    manifest = read_manifest(made)
    assert manifest.migration == 1
    assert [Path(each.path).name for each in manifest.landed] == [landed.name]
    restore(paths, made, replace=True)
    with Warehouse(paths).writing("a test") as connection:
        assert ("activation", "planned") in {
            (schema, name) for schema, name, _ in saved_tables(connection)
        }
        assert connection.execute("from ops.mark").fetchall() == [("old", 7, 1)]


def test_a_rehearsal_reads_everything_and_changes_nothing(living: Paths) -> None:
    made = backup(living)
    before = sorted(path.name for path in living.root.iterdir())
    assert rehearse(living, made).rows > 0
    assert sorted(path.name for path in living.root.iterdir()) == before


def test_an_interrupted_exchange_is_noticed_and_can_be_repeated(living: Paths) -> None:
    """The outbox of one day beside the warehouse of another would send again."""
    made = backup(living)
    living.warehouse.unlink()
    living.restoring.touch()
    with (
        pytest.raises(RuntimeError, match="cdp restore FOLDER --replace"),
        Warehouse(living).writing("a run"),
    ):
        pass
    with pytest.raises(BackupError, match="did not finish"):
        restore(living, made)
    restore(living, made, replace=True)
    with Warehouse(living).reading() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_only_the_newest_stay_and_what_a_kill_left_goes(
    living: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = living.root / "elsewhere"
    (home / ".unfinished-killed").mkdir(parents=True)
    (home / "not-ours").mkdir()
    for second in range(4):
        at = dt.datetime(2026, 11, 1, 12, 0, second)
        monkeypatch.setattr("cdp_assets.operations.backup.utc_now", lambda at=at: at)
        backup(living, home, keep=2)
    assert [path.name for path in backups(home)] == [
        "20261101T120002Z",
        "20261101T120003Z",
    ]
    assert (home / "not-ours").exists()
    assert not (home / ".unfinished-killed").exists()


def test_only_the_owner_can_read_it(living: Paths) -> None:
    made = backup(living)
    for path in [made, *made.rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_landed_files_that_no_load_saw_come_along(living: Paths) -> None:
    landed = land(living, "crm_contact", "one.csv", b"Id\n1\n")
    made = backup(living)
    shutil.rmtree(living.landing)
    restore(living, made, replace=True)
    assert landed.read_bytes() == b"Id\n1\n"


def test_a_delivery_at_work_is_neither_waited_for_nor_half_saved(
    living: Paths, tmp_path: Path
) -> None:
    """Deliveries do not take the warehouse's lock."""
    outbox = Outbox(living.outbox)
    insert = "insert into pause (activation, since) values (?, '2026-01-01')"
    with outbox.connect() as before:
        before.execute(insert, ["committed"])
        before.execute("begin immediate")
        before.execute(insert, ["under way"])
        made = backup(living)
        before.execute("commit")
    restore(living, made, replace=True)
    with outbox.connect() as after:
        assert after.execute("select activation from pause").fetchall() == [
            ("committed",)
        ]


@pytest.mark.slow
@pytest.mark.long
def test_a_restore_killed_at_any_moment_is_old_new_or_refused(living: Paths) -> None:
    """And repeated it is new; never an outbox of one day beside the other's tables."""
    with Warehouse(living).writing("a test") as connection:
        connection.execute(
            "create table dlo.big as select random() from range(1000000)"
        )
    made = backup(living)
    new = state(living)
    with Warehouse(living).writing("a test") as connection:
        connection.execute("insert into ops.mark values ('later', 1, 1)")
    old = state(living)
    command = [sys.executable, "-m", "cdp_assets.cli", "restore", str(made)]
    environment = {**os.environ, "CDP_DATA": str(living.root)}

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, "--replace"], env=environment, stdout=subprocess.DEVNULL
        )

    begun = time.monotonic()
    assert started().wait(120) == 0
    whole = time.monotonic() - begun
    for moment in range(6):
        with Warehouse(living).writing("a test") as connection:
            connection.execute("delete from ops.mark")
            connection.execute("insert into ops.mark values ('later', 1, 1)")
        process = started()
        time.sleep(whole * (0.55 + moment * 0.09))
        process.kill()
        process.wait()
        if living.restoring.exists():
            with pytest.raises(RuntimeError, match="did not finish"):
                state(living)
        else:
            assert state(living) in (old, new)
        restore(living, made, replace=True)
        assert state(living) == new


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.xdist_group("upheaval")
def test_destroyed_and_restored_the_next_wave_ends_as_if_nothing_had_happened(
    cdp: Callable[..., str], first_run: tuple[Path, str], tmp_path: Path
) -> None:
    """Ids depend on history: rebuilt from the files alone they would be others."""
    twin, root = tmp_path / "twin", tmp_path / "data"
    samples = first_run[0] / "samples"
    for copy in (twin, root):
        shutil.copytree(first_run[0], copy, symlinks=True)
        # History that the files no longer tell: a wave of changes, then another.
        drop_changes(copy, samples, seed=1)
        cdp(copy, "run")
    printed = cdp(root, "backup", str(tmp_path / "safe"))
    (made,) = (tmp_path / "safe").glob("2*")
    assert str(made) in printed
    shutil.rmtree(root)
    cdp(root, "restore", str(made))
    for each in (twin, root):
        drop_changes(each, samples, seed=2)
        cdp(each, "run")
    assert not differences(after_wave(root), after_wave(twin))
