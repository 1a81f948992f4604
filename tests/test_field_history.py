"""Which field of a profile changed, when and by which record; and that it is erased."""

import contextlib
import datetime as dt
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import duckdb
import pytest
from click.testing import CliRunner

from cdp_assets.cli import main
from cdp_assets.operations.backup import backup
from cdp_assets.operations.restore import restore
from cdp_assets.paths import Paths
from cdp_assets.publication import documents, saved_history
from cdp_assets.publication.documents import publish_documents
from cdp_assets.publication.field_history import FieldChange, changes_of
from cdp_assets.publication.profile import NotPublishedError, Profiles, find
from cdp_assets.publication.store import store_path
from cdp_assets.warehouse import Warehouse
from tests.published import ANN, BEN, CY, EMPTY, ROWS, TABLES

DAY_1 = dt.datetime(2026, 6, 1)
PROFILE = "unified.unified_individual"


@pytest.fixture
def built(warehouse: Warehouse, paths: Paths) -> Iterator[duckdb.DuckDBPyConnection]:
    """The small warehouse of the publication's tests, published once in run 1."""
    with warehouse.writing("tests") as connection:
        connection.execute(TABLES + ROWS)
        publish(connection, paths, 1)
        yield connection


def publish(connection: duckdb.DuckDBPyConnection, paths: Paths, run: int) -> None:
    """The publication of a run, one run a day."""
    connection.execute(
        "insert into ops.run values (?, ?, ?, ?)",
        [run, f"r{run}", DAY_1, DAY_1 + dt.timedelta(days=run - 1)],
    )
    publish_documents(connection, paths)


def say(
    connection: duckdb.DuckDBPyConnection,
    person: str,
    field: str,
    value: str | None,
    record: str | None,
) -> None:
    connection.execute(
        f"update {PROFILE} set {field} = ?, {field}_record = ? "
        "where unified_individual_id = ?",
        [value, record, person],
    )


def erase(connection: duckdb.DuckDBPyConnection, record: str) -> None:
    """The record is gone from everything that publication reads."""
    for table, column in (
        ("identity.unified_link_individual", "record"),
        ("dmo.individual", "id"),
        ("dmo.contact_point_email", "party_id"),
        ("dmo.contact_point_phone", "party_id"),
        ("unified.unified_contact_point_email", "source_record_id"),
    ):
        connection.execute(f"delete from {table} where {column} = ?", [record])


def history(paths: Paths, *ids: str) -> list[FieldChange]:
    return changes_of(store_path(paths), ids)


def test_a_change_is_noted_once_with_its_run_and_both_records(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    assert history(paths, ANN, BEN, CY, EMPTY) == []
    say(built, ANN, "first_name", "Anne", "shop_customer:9")
    say(built, ANN, "birth_date", None, None)
    # Another record says the same, a count and a segment differ: no field does.
    say(built, BEN, "last_name", "Ray", "crm_contact:3")
    built.execute(f"update {PROFILE} set record_count = record_count + 1")
    publish(built, paths, 2)
    publish(built, paths, 3)

    day = dt.datetime(2026, 6, 2)
    assert history(paths, ANN, BEN, CY, EMPTY) == [
        FieldChange(day, 2, "birth_date", "1980-02-03", "crm_contact:1", None, None),
        FieldChange(
            day, 2, "first_name", "Ann", "crm_contact:1", "Anne", "shop_customer:9"
        ),
    ]


def test_a_publication_that_fails_has_changed_and_noted_nothing(
    built: duckdb.DuckDBPyConnection, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noted apart from the documents, a change would be there twice or never."""
    monkeypatch.setattr(documents, "PEOPLE_AT_ONCE", 1)
    say(built, ANN, "first_name", "Anne", "shop_customer:9")
    say(built, BEN, "first_name", "Benno", "crm_contact:2")
    with sqlite3.connect(store_path(paths)) as store:
        store.execute(
            "create trigger fails before insert on profile "
            f"when new.unified_individual_id = '{BEN}' "
            "begin select raise(abort, 'no space'); end"
        )
    with pytest.raises(sqlite3.IntegrityError, match="no space"):
        publish(built, paths, 2)
    assert history(paths, ANN, BEN) == []
    with sqlite3.connect(store_path(paths)) as store:
        store.execute("drop trigger fails")
    publish(built, paths, 3)
    assert [(each.run, each.value_after) for each in history(paths, ANN, BEN)] == [
        (3, "Anne"),
        (3, "Benno"),
    ]


def test_what_an_erased_record_said_is_in_no_byte_of_the_store(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    say(built, ANN, "first_name", "Quixotella", "shop_customer:9")
    publish(built, paths, 2)
    say(built, ANN, "first_name", "Ann", "crm_contact:1")
    say(built, ANN, "last_name", "Mueller", "crm_contact:1")
    publish(built, paths, 3)
    assert len(history(paths, ANN)) == 3
    erase(built, "shop_customer:9")
    # Somebody who stays connected keeps SQLite from removing its log.
    with contextlib.closing(Profiles(paths)) as profiles:
        assert profiles.find(ANN) is not None
        publish(built, paths, 4)
        left = b"".join(
            path.read_bytes() for path in paths.serving.glob("profiles.sqlite*")
        )

    assert b"Quixotella" not in left
    assert b"shop_customer:9" not in left
    assert [
        (each.field, each.value_before, each.value_after)
        for each in history(paths, ANN)
    ] == [
        ("first_name", None, "Ann"),
        ("last_name", None, "Mueller"),
    ]


def test_of_somebody_erased_nothing_is_left(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    say(built, BEN, "first_name", None, None)
    publish(built, paths, 2)
    assert len(history(paths, BEN)) == 1
    erase(built, "crm_contact:2")
    built.execute(f"delete from {PROFILE} where unified_individual_id = ?", [BEN])
    publish(built, paths, 3)

    with sqlite3.connect(store_path(paths)) as store:
        assert store.execute("select count(*) from field_change").fetchone() == (0,)


def test_a_history_older_than_an_erasure_forgets_with_the_first_publication(
    paths: Paths, warehouse: Warehouse
) -> None:
    """No document names the record then: after a restore there are none."""
    with warehouse.writing("tests") as connection:
        connection.execute(TABLES + ROWS)
        publish(connection, paths, 1)
        say(connection, ANN, "first_name", "Quixotella", "shop_customer:9")
        say(connection, BEN, "first_name", "Benno", "crm_contact:2")
        publish(connection, paths, 2)
        say(connection, ANN, "first_name", "Ann", "crm_contact:1")
        publish(connection, paths, 3)
        # As a backup finds it that comes between the erasure and its publication.
        say(connection, ANN, "last_name", "Mueller", "crm_contact:1")
        erase(connection, "shop_customer:9")
        saved = paths.root / "field_history.sqlite"
        saved_history.save(paths, saved)
        for path in paths.serving.glob("profiles.sqlite*"):
            path.unlink()
        saved_history.put_back(paths, saved)
        assert len(history(paths, ANN, BEN)) == 3
        publish(connection, paths, 4)

    assert [
        (each.field, each.value_before, each.value_after, each.record_before)
        for each in history(paths, ANN, BEN)
    ] == [
        ("first_name", "Ben", "Benno", "crm_contact:2"),
        ("first_name", None, "Ann", None),
    ]
    left = b"".join(
        path.read_bytes() for path in paths.serving.glob("profiles.sqlite*")
    )
    assert b"Quixotella" not in left


def test_a_lost_store_leaves_nothing_in_the_way_of_its_history(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Where somebody had the lost one open: "disk I/O error", and no history."""
    say(built, ANN, "first_name", "Anne", "shop_customer:9")
    publish(built, paths, 2)
    before = history(paths, ANN)
    saved = paths.root / "field_history.sqlite"
    saved_history.save(paths, saved)
    reading = (
        "import sqlite3, sys; store = sqlite3.connect(sys.argv[1]); "
        "store.execute('pragma user_version = 7'); print('open', flush=True); "
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reading, str(store_path(paths))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"open\n"
        store_path(paths).unlink()
        left = [path.name for path in paths.serving.glob("profiles.sqlite-*")]
        assert sorted(left) == ["profiles.sqlite-shm", "profiles.sqlite-wal"]
        saved_history.put_back(paths, saved)
        reader.communicate()

    assert len(before) == 1
    assert history(paths, ANN) == before


def test_a_field_that_is_new_has_not_changed_for_everybody(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    built.execute(
        f"alter table {PROFILE} add column title_name varchar default 'Dr'; "
        f"alter table {PROFILE} add column title_name_record varchar "
        "default 'crm_contact:1'"
    )
    publish(built, paths, 2)
    assert history(paths, ANN, BEN, CY, EMPTY) == []
    say(built, ANN, "title_name", "Prof", "crm_contact:1")
    publish(built, paths, 3)
    assert [each.value_before for each in history(paths, ANN)] == ["Dr"]


def test_changes_are_kept_for_so_long_and_no_longer(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    say(built, ANN, "first_name", "Anne", "shop_customer:9")
    publish(built, paths, 2)
    publish(built, paths, 402)
    assert len(history(paths, ANN)) == 1
    publish(built, paths, 403)
    assert history(paths, ANN) == []


def test_the_changes_lead_from_the_first_document_to_the_last(
    built: duckdb.DuckDBPyConnection, paths: Paths
) -> None:
    """Whatever was edited in which wave, and however often nothing was published."""
    rng = random.Random(7)
    people = {ANN: "crm_contact:1", BEN: "crm_contact:2", CY: "crm_contact:3"}
    fields = ("first_name", "last_name", "birth_date")

    def now(person: str) -> dict[str, object]:
        found = find(paths, person)
        assert found is not None
        return {
            name: found["fields"][name] for name in fields if name in found["fields"]
        }

    first = {person: now(person) for person in people}
    for run in range(2, 14):
        for _ in range(rng.randrange(4)):
            person = rng.choice(list(people))
            field = rng.choice(fields)
            day = None if rng.random() < 0.3 else f"1990-01-0{rng.randrange(1, 4)}"
            say(built, person, field, day, people[person] if day else None)
        publish(built, paths, run)

    for person, state in first.items():
        for change in history(paths, person):
            before: dict[str, object] = state.pop(change.field, {})  # type: ignore[assignment]
            assert before.get("value") == change.value_before
            assert before.get("record") == change.record_before
            if change.value_after is not None:
                state[change.field] = {
                    "value": change.value_after,
                    "record": change.record_after,
                }
        values = {name: each["value"] for name, each in state.items()}  # type: ignore[index]
        assert values == {name: each["value"] for name, each in now(person).items()}  # type: ignore[index]


def test_a_backup_brings_the_history_back_and_documents_follow(
    paths: Paths, warehouse: Warehouse
) -> None:
    """Everything else in the file is made anew by the next run."""
    with warehouse.writing("tests") as connection:
        connection.execute(TABLES + ROWS)
        publish(connection, paths, 1)
        say(connection, ANN, "first_name", "Anne", "shop_customer:9")
        publish(connection, paths, 2)
    before = history(paths, ANN)
    made = backup(paths)
    for path in (paths.warehouse, *paths.serving.glob("profiles.sqlite*")):
        path.unlink()

    for _ in range(2):  # killed in between it is repeated, and nothing is there twice
        restore(paths, made, replace=True)

    assert len(before) == 1
    assert history(paths, ANN) == before
    with pytest.raises(NotPublishedError, match="publish first"):
        find(paths, ANN)
    with warehouse.writing("tests") as connection:
        # What dbt builds is in no backup.
        connection.execute(TABLES)
        for statement in ROWS.split(";"):
            if "into identity." not in statement and "into segments." not in statement:
                connection.execute(statement)
        say(connection, ANN, "first_name", "Anne", "shop_customer:9")
        publish(connection, paths, 3)
        assert history(paths, ANN) == before
        say(connection, ANN, "first_name", "Anna", "shop_customer:9")
        publish(connection, paths, 4)
    assert [each.value_after for each in history(paths, ANN)] == ["Anne", "Anna"]


def test_the_command_shows_them_also_of_who_was_merged_in(
    warehouse: Warehouse, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_DATA", str(paths.root))
    with warehouse.writing("tests") as connection:
        connection.execute(TABLES + ROWS)
        connection.execute(
            "insert into identity.link_history (object, record, unified_id, run) "
            "select 'individual', record, unified_individual_id, 1 "
            "from identity.unified_link_individual"
        )
        publish(connection, paths, 1)
        say(connection, BEN, "first_name", "Benno", "crm_contact:2")
        publish(connection, paths, 2)
        connection.execute(
            f"delete from {PROFILE} where unified_individual_id = ?", [BEN]
        )
        connection.execute(
            "update identity.unified_link_individual set unified_individual_id = ? "
            "where unified_individual_id = ?",
            [CY, BEN],
        )
        connection.execute(
            "insert into identity.redirect values (?, 'merged', [?], 3)", [BEN, CY]
        )
        publish(connection, paths, 3)

    shown = CliRunner().invoke(main, ["profile", CY, "--history"])

    assert shown.exit_code == 0, shown.output
    assert (
        "2026-06-02 00:00:00  field     first_name is Benno by crm_contact:2, "
        "was Ben by crm_contact:2 (run 2)" in shown.output
    )
