"""Upkeep: what only grows is cut, and nothing that anybody needs goes with it."""

import datetime as dt
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.upkeep import daily_upkeep, nightly_backup, purge_runs
from cdp_assets.operations.backup import backups
from cdp_assets.operations.upkeep import Cut, cut_books
from cdp_assets.paths import Paths
from cdp_assets.streams.ledger import next_load_seq
from cdp_assets.warehouse import Warehouse

NOW = dt.datetime(2026, 11, 1)


@pytest.fixture
def books(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    """A load, a resolution and three changes a day for 500 days."""
    with warehouse.writing("a test") as connection:
        connection.execute(
            """
            create temp table day as select i, timestamp '2026-11-01' - to_days(500 - i)
                as "at" from range(500) as t(i);
            insert into ops.load (load_seq, stream, started_at, finished_at, rows_in,
                inserted, updated, deleted, unchanged, superseded, quarantined, files,
                unreadable_files, notes)
            select i, if(i < 5, 'quiet', 'busy'), "at", "at",
                1, 1, 0, 0, 0, 0, 0, 1, 0, [] from day;
            insert into ops.run select i, i::varchar, "at", "at" from day;
            insert into identity.run (run, object, started_at, as_of, status)
            select i, 'individual', "at", "at",
                case i when 3 then 'held' when 20 then 'promoted' else 'unchanged' end
            from day;
            insert into identity.change (unified_individual_id, kind, run)
            select 'u' || person, 'changed', i from day, range(3) as p(person)
            order by i, person;
            insert into identity.change (unified_individual_id, kind, run)
            values ('quiet', 'created', 0);
            insert into ops.quarantine
            select 'busy', 'f', i, 'Id', 'null', 'x', i, if(i % 2 = 0, i, null)
            from day;
            insert into ops.landed_file
                (stream, content_sha256, file, bytes, rows, load_seq, outcome)
            select 'busy', i, 'f', 1, 1, i, 'loaded' from day;
            """
        )
        yield connection


def ask(connection: duckdb.DuckDBPyConnection, query: str) -> object:
    found = connection.execute(query).fetchone()
    assert found is not None
    return found[0] if len(found) == 1 else found


def test_old_books_go_and_what_is_needed_stays(
    books: duckdb.DuckDBPyConnection,
) -> None:
    books.execute("insert into ops.mark values ('slow', 1200, 400)")
    cut = cut_books(books, now=NOW)
    # The last load of the stream that has been quiet since day 4 says when that was.
    assert ask(books, "select max(load_seq) from ops.load where stream = 'quiet'") == 4
    assert ask(books, "select min(load_seq) from ops.load where stream = 'busy'") == 100
    assert cut.loads == 99
    # Rows that wait in quarantine wait for ever.
    assert (
        ask(
            books, "select count(*) from ops.quarantine where replayed_load_seq is null"
        )
        == 250
    )
    assert ask(books, "select min(replayed_load_seq) from ops.quarantine") == 100
    assert ask(books, "select count(*) from ops.landed_file") == 500
    assert ask(books, "select count(*) from ops.run") == 500
    assert ask(
        books,
        """
        select (select run from identity.run where status = 'held'),
            (select run from identity.run where status = 'promoted')
        """,
    ) == (3, 20)
    # The slowest consumer has not seen anything above its mark yet.
    assert ask(books, "select min(seq) from identity.change where seq > 1") == 1201
    assert (
        ask(
            books,
            """
            select count(*) from identity.change where unified_individual_id = 'quiet'
            """,
        )
        == 1
    )
    assert cut.changes == 1200


def test_each_person_keeps_the_last_change(books: duckdb.DuckDBPyConnection) -> None:
    """A consumer that starts from nothing must hear of everybody."""
    cut_books(books, now=NOW + dt.timedelta(days=1000))
    assert ask(books, "select count(*) from identity.change") == 4
    assert (
        ask(books, "select count(distinct unified_individual_id) from identity.change")
        == 4
    )


def test_the_next_load_goes_on_counting(books: duckdb.DuckDBPyConnection) -> None:
    """Its number is the greatest of the books plus one; a number twice loses rows."""
    cut_books(books, now=NOW + dt.timedelta(days=1000))
    assert next_load_seq(books) == 500


def test_cutting_twice_cuts_once(books: duckdb.DuckDBPyConnection) -> None:
    cut_books(books, now=NOW)
    assert cut_books(books, now=NOW) == Cut(0, 0, 0, 0)


@dg.asset
def thing() -> int:
    return 1


def job(name: str) -> dg.JobDefinition:
    return dg.define_asset_job(name, selection=[thing]).resolve(
        asset_graph=dg.Definitions(assets=[thing]).resolve_asset_graph()
    )


def files_of(root: Path, run_id: str) -> list[Path]:
    return [path for path in root.rglob("*") if run_id in str(path.relative_to(root))]


def test_old_runs_go_with_all_they_left_and_the_last_of_each_job_stays(
    tmp_path: Path,
) -> None:
    """dagster.yaml can cut ticks only; events of a year are gigabytes."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        daily, once = job("daily"), job("once")
        ids = [
            each.execute_in_process(instance=instance).run_id
            for each in (once, daily, daily, daily)
        ]
        running = dg.DagsterRun("daily", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(running)
        assert files_of(tmp_path, ids[1])
        assert purge_runs(instance, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) == 0
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        assert purge_runs(instance, later) == 2
        left = {each.run_id for each in instance.get_runs()}
        assert left == {ids[0], ids[3], running.run_id}
        for gone in ids[1:3]:
            assert not files_of(tmp_path, gone)
        latest = instance.get_latest_materialization_event(dg.AssetKey("thing"))
        assert latest is not None
        assert latest.run_id == ids[3]


def test_both_jobs_do_their_work_by_night(
    paths: Paths, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that only its schedule ever starts fails unseen for weeks."""
    monkeypatch.setenv("CDP_DATA", str(paths.root))
    resources = {"warehouse": WarehouseResource(database=str(paths.warehouse))}
    with dg.DagsterInstance.ephemeral() as instance:
        # On the first night there may be nothing yet.
        for each in (nightly_backup, daily_upkeep):
            assert each.execute_in_process(
                resources=resources, instance=instance
            ).success
        assert backups(paths.backups) == []
        with warehouse.writing("a test") as connection:
            connection.execute(
                """
                insert into ops.load (load_seq, stream, started_at, finished_at,
                    rows_in, inserted, updated, deleted, unchanged, superseded,
                    quarantined, files, unreadable_files, notes)
                select i, 'busy', '2020-01-01', '2020-01-01',
                    1, 1, 0, 0, 0, 0, 0, 1, 0, [] from range(5) as t(i)
                """
            )
        for each in (nightly_backup, daily_upkeep):
            assert each.execute_in_process(
                resources=resources, instance=instance
            ).success
    assert len(backups(paths.backups)) == 1
    with warehouse.reading() as connection:
        assert ask(connection, "select count(*) from ops.load") == 1
