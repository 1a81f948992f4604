"""A wave as its users see it: a file dropped in the inbox, and all that it moves.

The first part asks the landing sensor itself. The second starts ``dagster dev`` as
``make ui`` does, launches an asset through its GraphQL, drops ten changed contacts, and
compares every table with what was predicted before.
"""

import contextlib
import csv
import datetime as dt
import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import httpx
import pytest

from cdp_assets.defs.jobs import COVERS
from cdp_assets.defs.launch import PID_TAG, announce, open_instance
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.waves import failed_waves, landing_sensor, pause_until
from cdp_assets.paths import PROJECT, Paths
from cdp_assets.publication.profile import find
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.load import load_waiting, load_wave
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import Warehouse, utc_now

pytestmark = pytest.mark.xdist_group("upheaval")
slow = pytest.mark.slow
OURS = {"repositoryLocationName": "cdp", "repositoryName": "__repository__"}
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

# ----------------------------------------------------- when a wave is asked for


@dataclass
class Sensors:
    """The sensor and the schedules over a runtime folder and an instance."""

    repository: dg.RepositoryDefinition
    instance: dg.DagsterInstance
    paths: Paths
    cursor: str | None = None

    def look(self) -> dg.RunRequest | str:
        """One evaluation: the one run it asks for, or why it asks for none."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"warehouse": self._warehouse()},
        ) as context:
            result = landing_sensor(context)
            self.cursor = context.cursor
        if isinstance(result, dg.SkipReason):
            return str(result.skip_message)
        (request,) = result.run_requests or ()
        return request

    def schedule(self, name: str) -> dg.RunRequest | dg.SkipReason:
        found = self.repository.get_schedule_def(name)
        with dg.build_schedule_context(
            instance=self.instance,
            repository_def=self.repository,
            resources={"warehouse": self._warehouse()},
        ) as context:
            return found(context)

    def run(self, status: dg.DagsterRunStatus, **tags: str) -> str:
        """A run over everything that stands at this status."""
        run_id = str(uuid.uuid4())
        self.instance.add_run(
            dg.DagsterRun("everything", run_id, status=status, tags={**COVERS, **tags})
        )
        return run_id

    def drop(self, stream: str, name: str, content: str = "anything\n") -> None:
        path = self.paths.inbox / stream / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.with_name(f"{name}.done").touch()

    def load(self) -> None:
        """Fold in what waits, as the assets of a run do before anything else."""
        with self.opened() as connection:
            for spec in load_streams().values():
                ensure_table(connection, spec)
                load_waiting(connection, self.paths, spec, started_at=utc_now())

    @contextlib.contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._warehouse().get_connection() as connection:
            yield connection

    def _warehouse(self) -> WarehouseResource:
        return WarehouseResource(database=str(self.paths.warehouse))


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    from cdp_assets.definitions import defs

    return defs().get_repository_def()


@pytest.fixture
def sensors(
    repository: dg.RepositoryDefinition, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sensors]:
    monkeypatch.setenv("CDP_DATA", str(paths.root))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Sensors(repository, instance, paths)


@pytest.fixture
def schedules(sensors: Sensors, tmp_path: Path) -> Iterator[Sensors]:
    """The same with an instance on disk, which schedules ask for."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield replace(sensors, instance=instance)


def streams_of(request: dg.RunRequest | str | dg.SkipReason) -> set[str]:
    """The streams that a requested run loads."""
    assert isinstance(request, dg.RunRequest), request
    keys = request.asset_selection or []
    return {key.path[1] for key in keys if key.path[0] == "dlo"}


def follows_in(request: dg.RunRequest | str | dg.SkipReason) -> set[str]:
    """What else it makes."""
    assert isinstance(request, dg.RunRequest), request
    keys = request.asset_selection or []
    return {"/".join(key.path) for key in keys if key.path[0] != "dlo"}


def everything_else(sensors: Sensors) -> set[str]:
    keys = sensors.repository.asset_graph.materializable_asset_keys
    return {"/".join(key.path) for key in keys if key.path[0] != "dlo"}


def test_no_files_no_wave(sensors: Sensors) -> None:
    assert sensors.look() == "no new files"
    assert sensors.look() == "no new files"


def test_a_wave_covers_every_waiting_stream_and_all_that_follows(
    sensors: Sensors,
) -> None:
    """Two runs for two streams would resolve everybody twice."""
    sensors.drop("crm_contact", "one.csv")
    sensors.drop("support_user", "two.ndjson")
    request = sensors.look()
    assert streams_of(request) == {"crm_contact", "support_user"}
    assert follows_in(request) == everything_else(sensors)
    sensors.load()
    sensors.run(dg.DagsterRunStatus.SUCCESS)
    assert sensors.look() == "no new files"


def test_the_next_wave_is_asked_for_while_anything_waits(
    sensors: Sensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget that ended one wave must not leave the rest for the night."""
    monkeypatch.setenv("CDP_WAVE_ROWS", "2")
    for number in range(4):
        sensors.drop("crm_contact", f"{number}.csv", f"{number}\n")
    waves = 0
    while isinstance(request := sensors.look(), dg.RunRequest):
        assert streams_of(request) == {"crm_contact"}
        waves += 1
        with sensors.opened() as connection:
            spec = load_streams()["crm_contact"]
            load_wave(connection, sensors.paths, spec, started_at=utc_now())
        sensors.run(dg.DagsterRunStatus.SUCCESS)
    assert waves == 2


def test_what_no_stream_takes_is_named(sensors: Sensors) -> None:
    """A file that lies in the inbox for ever, and nobody is told."""
    sensors.drop("crm_kontakt", "one.csv")
    assert "'crm_kontakt' is not a declared stream" in str(sensors.look())


def test_no_second_wave_while_a_run_is_in_flight(sensors: Sensors) -> None:
    run_id = sensors.run(dg.DagsterRunStatus.STARTING)
    sensors.drop("crm_contact", "one.csv")
    assert run_id[:8] in str(sensors.look())
    sensors.instance.report_run_canceled(sensors.instance.get_runs()[0])
    assert streams_of(sensors.look()) == {"crm_contact"}


def test_a_failed_wave_is_asked_for_again(sensors: Sensors) -> None:
    """Whether it failed before its files were loaded, or after."""
    sensors.drop("crm_contact", "one.csv")
    sensors.look()
    sensors.run(dg.DagsterRunStatus.FAILURE)
    assert streams_of(sensors.look()) == {"crm_contact"}
    sensors.load()
    request = sensors.look()
    assert streams_of(request) == set()
    assert follows_in(request) == everything_else(sensors)


def test_a_wave_that_fails_again_and_again_is_asked_for_ever_more_rarely(
    sensors: Sensors,
) -> None:
    """Every fifteen seconds, one alert each."""
    sensors.drop("crm_contact", "one.csv")
    for _ in range(2):
        sensors.run(dg.DagsterRunStatus.FAILURE)
    assert "the last 2 runs failed; asks again at" in str(sensors.look())
    pauses = []
    for _ in range(9):
        failed = failed_waves(sensors.instance)
        pauses.append(pause_until(failed) - failed[0].update_timestamp.timestamp())
        sensors.run(dg.DagsterRunStatus.FAILURE)
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    sensors.run(dg.DagsterRunStatus.SUCCESS)
    assert streams_of(sensors.look()) == {"crm_contact"}


def test_a_run_whose_process_was_killed_holds_up_nobody(sensors: Sensors) -> None:
    """Dagster's launcher never looks: such a run would be in flight for ever."""
    killed = sensors.run(dg.DagsterRunStatus.STARTED, **{PID_TAG: "1"})
    sensors.drop("crm_contact", "one.csv")
    assert streams_of(sensors.look()) == {"crm_contact"}
    found = sensors.instance.get_run_by_id(killed)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE


def test_a_run_whose_process_lives_is_left_alone(sensors: Sensors) -> None:
    living = sensors.run(dg.DagsterRunStatus.STARTED)
    run = sensors.instance.get_run_by_id(living)
    assert run is not None
    announce(sensors.instance, sensors.paths, run)
    assert living[:8] in str(sensors.look())


def test_a_schedule_looks_at_its_streams_and_at_more_when_files_wait(
    schedules: Sensors,
) -> None:
    contacts = {"crm_account", "crm_contact", "crm_lead"}
    request = schedules.schedule("streams_crm")
    assert streams_of(request) == contacts
    assert follows_in(request) == set()
    schedules.drop("crm_lead", "one.csv")
    schedules.drop("support_user", "two.ndjson")
    request = schedules.schedule("streams_crm")
    assert streams_of(request) == contacts | {"support_user"}
    assert follows_in(request) == everything_else(schedules)
    schedules.run(dg.DagsterRunStatus.STARTING)
    assert isinstance(schedules.schedule("streams_crm"), dg.SkipReason)


# ---------------------------------------------------------------- the web server


@dataclass
class WebServer:
    """A running ``dagster dev``, asked through its GraphQL."""

    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        """The one answer to a query of one field."""
        sent = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.url}/graphql", json=sent, timeout=120).json()
        assert "errors" not in answer, answer
        (found,) = answer["data"].values()
        return found

    def launch(self, *key: str) -> str:
        """Materialise one asset, as the button in the UI does; returns the run's id."""
        launched = self.ask(
            """
            mutation ($params: ExecutionParams!) {
              launchPipelineExecution(executionParams: $params) {
                __typename
                ... on LaunchRunSuccess { run { runId } }
                ... on PythonError { message }
              }
            }
            """,
            params={
                "selector": {
                    **OURS,
                    "jobName": "__ASSET_JOB",
                    "assetSelection": [{"path": list(key)}],
                },
                "runConfigData": {},
            },
        )
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def runs(self, **conditions: Any) -> list[dict[str, Any]]:
        """Runs, the newest first."""
        found = self.ask(
            """
            query ($filter: RunsFilter!) {
              runsOrError(filter: $filter, limit: 20) {
                ... on Runs { results {
                  runId status creationTime startTime endTime tags { key value }
                } }
              }
            }
            """,
            filter=conditions,
        )
        return list(found["results"])

    def ended(self, run_id: str) -> dict[str, Any] | None:
        """The run, once it has ended."""
        (run,) = self.runs(runIds=[run_id])
        return run if run["status"] in ENDED else None

    def stop_schedules(self) -> None:
        """Leave the sensors alone at work, whatever time of day it is."""
        schedules = self.ask(
            """
            query ($ours: RepositorySelector!) {
              schedulesOrError(repositorySelector: $ours) {
                ... on Schedules { results { name scheduleState { id status } } }
              }
            }
            """,
            ours=OURS,
        )["results"]
        # Training is a decision: its schedule waits for somebody to turn it on.
        at_work = [
            each for each in schedules if each["scheduleState"]["status"] == "RUNNING"
        ]
        assert {each["name"] for each in schedules if each not in at_work} == {
            "train_match_model_schedule"
        }
        for each in at_work:
            stopped = self.ask(
                """
                mutation ($id: String!) {
                  stopRunningSchedule(id: $id) {
                    __typename
                    ... on ScheduleStateResult { scheduleState { status } }
                  }
                }
                """,
                id=each["scheduleState"]["id"],
            )
            assert stopped["scheduleState"]["status"] == "STOPPED", stopped


def eventually(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    pytest.fail(f"after {seconds:.0f} s: {what}")


@contextlib.contextmanager
def web_server(root: Path, log: Path) -> Iterator[WebServer]:
    """``make ui`` over another runtime folder, its own state in there too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("w") as written:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("dagster"),
                *("dev", "--host", "127.0.0.1", "--port", str(port)),
            ],
            cwd=PROJECT,
            env={
                **os.environ,
                "CDP_DATA": str(root),
                "DAGSTER_HOME": str(root / "dagster"),
                "DAGSTER_DISABLE_TELEMETRY": "yes",
            },
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        server = WebServer(f"http://127.0.0.1:{port}")
        eventually(lambda: _serves(server, process), 180, "no web server")
        yield server
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _serves(server: WebServer, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "dagster dev ended"
    try:
        return httpx.get(f"{server.url}/server_info", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


# ------------------------------------------------------- what stands, and what moved

Row = tuple[Any, ...]


@dataclass
class Table:
    """All rows of a table, and how often each stands there."""

    columns: list[str]
    rows: Counter[Row]


def state(root: Path) -> dict[str, Table]:
    """Every table and view that a wave may touch."""
    found = {}
    with Warehouse(Paths(root)).reading() as connection:
        names = connection.execute(
            """
            select table_schema, table_name from information_schema.tables
            where table_schema in (
                'dlo', 'dmo', 'reference', 'unified', 'insights', 'segments'
            ) or table_schema = 'identity' and (
                table_name like 'unified_link%' or table_name = 'redirect'
            )
            """
        ).fetchall()
        for schema, name in names:
            cursor = connection.execute(f'from {schema}."{name}"')
            columns = [column[0] for column in cursor.description or ()]
            rows = (tuple(map(_hashable, row)) for row in cursor.fetchall())
            found[f"{schema}.{name}"] = Table(columns, Counter(rows))
    return found


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def moved(
    before: dict[str, Table], after: dict[str, Table], name: str, key: str
) -> set[Any]:
    """The keys of the rows that came, went or are not byte for byte the same."""
    old, new = before[name].rows, after[name].rows
    place = after[name].columns.index(key)
    return {row[place] for row in ((old - new) | (new - old))}


def documents(root: Path) -> dict[str, str]:
    """The published profiles."""
    path = root / "serving" / "profiles.sqlite"
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as store:
        return dict(
            store.execute("select unified_individual_id, document from profile")
        )


# ------------------------------------------------------------- the ten, and what for

# People whom nobody else shares a contact point with and whose last name is too rare
# for blocking to notice one more or one less: what happens to them concerns nobody.
QUIET_PEOPLE = """
    with point as (
        select unnest(emails || phones) as point, record from identity.node
    ),

    shared as (
        select point from point
        inner join identity.unified_link_individual using (record)
        group by point having count(distinct unified_individual_id) > 1
    ),

    bearer as (
        select last_name, count(*) as bearers from identity.node
        where object = 'individual' group by last_name
    )

    select
        unified_individual_id as person,
        list(record order by record) as records,
        list(split_part(record, ':', 1) order by record) as objects,
        list(first_name order by record) as first_names,
        list(last_name order by record) as last_names,
        list(emails order by record) as emails,
        list_distinct(list(tier)) as tiers,
        max(coalesce(bearers, 0)) as bearers
    from identity.unified_link_individual
    inner join identity.node using (record)
    left join bearer using (last_name)
    group by person
    having bearers < 10
        and not bool_or(name_suffix is not null)
        and not bool_or(record in (
            select record from point semi join shared using (point)
            union all select _record_id from dlo.crm_contact where HasOptedOutOfEmail
            union all select converted_contact_id from dmo.lead
            where converted_contact_id is not null
        ))
    order by person
"""


# What a contact says that could keep it apart from somebody of the same address.
CONTRADICTORY = [
    "MiddleName",
    "Salutation",
    "Birthdate",
    "Phone",
    "MobilePhone",
    "MailingStreet",
    "MailingCity",
    "MailingState",
    "MailingPostalCode",
]


@dataclass
class Quiet:
    """One of these people."""

    person: str
    records: list[str]
    objects: list[str]
    first_names: list[str | None]
    last_names: list[str | None]
    emails: list[list[str]]
    tiers: list[str]
    bearers: int

    def consists_of(self, *objects: str) -> bool:
        """Whether these are the objects of its records."""
        return self.objects == list(objects)

    def is_held_by_email(self) -> bool:
        """Two records with an address in common, which nothing but it need hold."""
        return self.tiers == ["rule:email"] and len(self.records) == 2

    def is_one_name(self) -> bool:
        """All records bear one and the same full name."""
        names = set(zip(self.first_names, self.last_names, strict=True))
        return len(names) == 1 and not {None} & {*self.first_names, *self.last_names}

    def address(self) -> str:
        """An e-mail address that every record has, or nothing."""
        common = set.intersection(*(set(emails) for emails in self.emails))
        return min(common, default="")


@dataclass
class Prediction:
    """Which rows will differ, and in what; written down before the file is dropped."""

    drop: list[dict[str, str]] = field(default_factory=list)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per changed contact what its row of dmo.individual says; empty: no such row."""
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per person what the profile says; empty: no such person."""
    kinds: dict[str, str] = field(default_factory=dict)
    links: dict[str, str | None] = field(default_factory=dict)
    """Records that lead to somebody else, and to whom."""
    tiers: set[str] = field(default_factory=set)
    """Records that stay, by other evidence than before."""
    redirects: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def expect(self, person: str, kind: str, **fields: Any) -> None:
        """One person's fate."""
        self.kinds[person] = kind
        self.profiles[person] = fields


class Choice:
    """Chooses ten contacts from the warehouse, and predicts what follows from each."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, at: dt.datetime) -> None:
        self._connection = connection
        self._at = at
        found = connection.execute(QUIET_PEOPLE).fetchall()
        self._people = [Quiet(*row) for row in found]
        self.prediction = Prediction()

    def make(self) -> Prediction:
        """All ten; the rarest kinds of people are chosen first."""
        self.split_one()
        self.merge_two()
        self.insert_one_who_joins()
        self.delete_one()
        self.edit_a_first_name()
        self.edit_title_phone_and_street()
        self.send_a_stale_version()
        self.insert_a_stranger()
        assert len(self.prediction.drop) == 10
        return self.prediction

    def split_one(self) -> None:
        """The address goes that alone held a nameless subscriber to the contact."""
        one = self._take(
            lambda p: (
                p.consists_of("crm_contact", "email_subscriber")
                and p.is_held_by_email()
                and p.first_names[1] is None
                and p.last_names[1] is None
            )
        )
        contact, subscriber = one.records
        born = self._minted(subscriber)
        self._change(contact, Email="parted@wave.test.de")
        self.prediction.expect(one.person, "changed", record_count=1, source_count=1)
        self.prediction.expect(born, "created", record_count=1, first_name=None)
        self.prediction.links[subscriber] = born
        self.prediction.tiers.add(contact)

    def merge_two(self) -> None:
        """A lone contact turns out to be somebody whom two other systems know."""
        lone = self._take(lambda p: p.consists_of("crm_contact"))
        known = self._take(
            lambda p: (
                "crm_contact" not in p.objects
                and p.is_held_by_email()
                and p.is_one_name()
                and p.address() != ""
            )
        )
        (contact,) = lone.records
        first, last = self._names(known.records[0])
        self._change(
            contact,
            **dict.fromkeys(CONTRADICTORY, ""),
            Email=known.address(),
            FirstName=first,
            LastName=last,
            Title="Wave Merger",
        )
        self.prediction.records[contact] |= {"first_name": first, "last_name": last}
        self.prediction.expect(
            known.person,
            "changed",
            record_count=3,
            title_name="Wave Merger",
            title_name_record=contact,
        )
        self.prediction.expect(lone.person, "retired")
        self.prediction.redirects[lone.person] = ("merged", (known.person,))
        self.prediction.links[contact] = known.person

    def insert_one_who_joins(self) -> None:
        """A new contact with the address and name of a lone customer of the shop."""
        lone = self._take(
            lambda p: (
                p.consists_of("shop_customer") and p.is_one_name() and p.address() != ""
            )
        )
        (customer,) = lone.records
        first, last = self._names(customer)
        contact = self._insert(
            "003WAVE000000001",
            FirstName=first,
            LastName=last,
            Email=lone.address(),
            Title="Wave Joiner",
        )
        self.prediction.expect(
            lone.person,
            "changed",
            record_count=2,
            title_name="Wave Joiner",
            title_name_record=contact,
            first_name_record=contact,
        )
        self.prediction.links[contact] = lone.person
        self.prediction.tiers.add(customer)

    def insert_a_stranger(self) -> None:
        contact = self._insert(
            "003WAVE000000002",
            FirstName="Xaviola",
            LastName="Quellbrandt",
            Email="xq@wave.test.de",
            Title="Wave Stranger",
        )
        born = self._minted(contact)
        self.prediction.expect(
            born, "created", record_count=1, person_name="Xaviola Quellbrandt"
        )
        self.prediction.links[contact] = born

    def delete_one(self) -> None:
        gone = self._take(lambda p: p.consists_of("crm_contact"))
        (contact,) = gone.records
        self._change(contact, IsDeleted="true")
        self.prediction.records[contact] = {}
        self.prediction.expect(gone.person, "retired")
        self.prediction.redirects[gone.person] = ("emptied", ())
        self.prediction.links[contact] = None

    def edit_a_first_name(self) -> None:
        one = self._take(
            lambda p: (
                p.consists_of("crm_contact") and p.is_one_name() and p.bearers == 1
            )
        )
        (contact,) = one.records
        self._change(contact, FirstName="Xaviolo")
        self.prediction.records[contact] |= {"first_name": "Xaviolo"}
        self.prediction.expect(
            one.person, "changed", first_name="Xaviolo", first_name_record=contact
        )

    def edit_title_phone_and_street(self) -> None:
        for edit in (
            {"Title": "Wave Editor"},
            {"MobilePhone": "+49 1512 9990001"},
            {"MailingStreet": "Wellenreiterweg 4711"},
        ):
            one = self._take(
                lambda p: p.is_held_by_email() and p.objects.count("crm_contact") == 1
            )
            contact = one.records[one.objects.index("crm_contact")]
            self._change(contact, **edit)
            titles = {"title_name": edit["Title"]} if "Title" in edit else {}
            self.prediction.records[contact] |= titles
            origin = {f"{name}_record": contact for name in titles}
            self.prediction.expect(one.person, "changed", **titles, **origin)

    def send_a_stale_version(self) -> None:
        """The one that must change nothing at all."""
        one = self._take(lambda p: "crm_contact" in p.objects)
        row = self._row(one.records[one.objects.index("crm_contact")])
        known = dt.datetime.fromisoformat(row["SystemModstamp"])
        older = {"SystemModstamp": _text(known - dt.timedelta(days=1))}
        self.prediction.drop.append({**row, "Title": "Wave Laggard", **older})

    def _take(self, fits: Callable[[Quiet], bool]) -> Quiet:
        found = next(one for one in self._people if fits(one))
        self._people.remove(found)
        return found

    def _change(self, record: str, **fields: str) -> None:
        at = {"SystemModstamp": _text(self._at), "LastModifiedDate": _text(self._at)}
        row = {**self._row(record), **at, **fields}
        self.prediction.drop.append(row)
        self.prediction.records[record] = {"last_modified_date": self._at}

    def _insert(self, key: str, **fields: str) -> str:
        times = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
        row = dict.fromkeys(self._columns(), "")
        row |= {"Id": key, "IsDeleted": "false", "HasOptedOutOfEmail": "false"}
        row |= dict.fromkeys(times, _text(self._at))
        self.prediction.drop.append({**row, **fields})
        record = f"crm_contact:{key}"
        self.prediction.records[record] = {
            "first_name": fields["FirstName"],
            "title_name": fields["Title"],
        }
        return record

    def _columns(self) -> list[str]:
        cursor = self._connection.execute("from dlo.crm_contact limit 0")
        names = [column[0] for column in cursor.description or ()]
        return [name for name in names if not name.startswith("_")]

    def _row(self, record: str) -> dict[str, str]:
        """The contact as its source would export it again."""
        columns = self._columns()
        listed = ", ".join(f'"{name}"' for name in columns)
        row = self._connection.execute(
            f"select {listed} from dlo.crm_contact where _record_id = ?", [record]
        ).fetchone()
        assert row is not None
        return {name: _text(value) for name, value in zip(columns, row, strict=True)}

    def _names(self, record: str) -> tuple[str, str]:
        found = self._connection.execute(
            "select first_name, last_name from dmo.individual where id = ?", [record]
        ).fetchone()
        assert found is not None
        return found[0], found[1]

    def _minted(self, record: str) -> str:
        """The id of a person who begins with this record."""
        (times,) = self._connection.execute(
            "select count(*) from identity.registry where minted_from = ?", [record]
        ).fetchone() or (0,)
        return "u_" + hashlib.md5(f"{record}#{times}".encode()).hexdigest()[:16]  # noqa: S324


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def drop(root: Path, rows: list[dict[str, str]]) -> None:
    """Put one CSV file into the inbox, as a partner's upload would."""
    folder = root / "inbox" / "crm_contact"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / ".Contact_wave.csv"
    with unfinished.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.DictWriter(sink, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    unfinished.rename(folder / "Contact_wave.csv")


# ---------------------------------------------------------------------- the story


@dataclass
class Wave:
    """What a wave found and left."""

    root: Path
    prediction: Prediction
    run: dict[str, Any]
    before: dict[str, Table]
    after: dict[str, Table]
    documents_before: dict[str, str]
    documents_after: dict[str, str]
    outbox_before: int
    seconds: dict[str, float]


def ride(server: WebServer, root: Path) -> Wave:
    """Drop the ten while nothing runs, and wait until the profiles stand."""
    paths = Paths(root)
    eventually(lambda: not _in_flight(server), 300, "a run is still in flight")
    at = dt.datetime.fromisoformat(paths.pinned_as_of.read_text().strip())
    before, published = state(root), documents(root)
    with Warehouse(paths).reading() as connection:
        prediction = Choice(connection, at - dt.timedelta(minutes=1)).make()
    sequence = _outbox(root)
    newest = max(run["creationTime"] for run in server.runs())
    dropped, began = time.time(), time.monotonic()
    drop(root, prediction.drop)

    (told,) = (p for p, f in prediction.profiles.items() if "Wave Editor" in f.values())
    eventually(lambda: "Wave Editor" in documents(root)[told], 400, "no new profile")
    seconds = {"until profiles stood": time.monotonic() - began}
    (run,) = (run for run in server.runs() if run["creationTime"] > newest)
    run = eventually(lambda: server.ended(run["runId"]), 300, "the run has no end")
    seconds |= {
        "until the run was asked for": run["creationTime"] - dropped,
        "until the run started": run["startTime"] - dropped,
        "until the run ended": run["endTime"] - dropped,
    }
    return Wave(
        root,
        prediction,
        run,
        before,
        state(root),
        published,
        documents(root),
        sequence,
        {name: round(value, 1) for name, value in seconds.items()},
    )


def _in_flight(server: WebServer) -> list[dict[str, Any]]:
    return server.runs(
        statuses=["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"]
    )


def _outbox(root: Path) -> int:
    with contextlib.closing(sqlite3.connect(root / "outbox.sqlite")) as outbox:
        return int(outbox.execute("select max(sequence) from outbox").fetchone()[0])


@pytest.fixture(scope="module")
def wave(first_run: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Wave:
    """The story over a copy of the first run."""
    folder = tmp_path_factory.mktemp("wave")
    root = folder / "data"
    shutil.copytree(first_run[0], root, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        # Undone at the end: opening an instance moves this process to the project.
        patch.setenv("DAGSTER_HOME", "")
        patch.chdir(PROJECT)
        with open_instance(Paths(root)):
            pass
    with web_server(root, folder / "dagster-dev.log") as server:
        server.stop_schedules()
        run_id = server.launch("insights", "churn_risk")
        launched = eventually(lambda: server.ended(run_id), 300, "no end")
        assert launched["status"] == "SUCCESS"
        return ride(server, root)


@slow
def test_the_sensor_alone_asks_for_one_run(
    wave: Wave, record_property: Callable[[str, object], None]
) -> None:
    """``ride`` finds no second run; two waves over one drop would race."""
    for name, value in wave.seconds.items():
        record_property(name, value)
    tags = {tag["key"]: tag["value"] for tag in wave.run["tags"]}
    assert wave.run["status"] == "SUCCESS"
    assert tags["dagster/sensor_name"] == "landing_sensor"
    assert tags["cdp/wave"] == "crm_contact"


@slow
def test_the_raw_tables_differ_in_the_changed_contacts(wave: Wave) -> None:
    """The stale version is counted, and leaves no trace in the table."""
    found = moved(wave.before, wave.after, "dlo.crm_contact", "_record_id")
    assert found == set(wave.prediction.records)
    # Receipts of the messages that the wave sent are a stream of our own.
    quiet = {n for n in wave.after if n.startswith("dlo.")}
    quiet -= {"dlo.crm_contact", "dlo.system_receipt"}
    assert differing(wave, quiet) == set()
    load = ask(
        wave.root,
        """
        select rows_in, inserted, updated, deleted, unchanged, superseded, quarantined
        from ops.load where stream = 'crm_contact' order by load_seq desc limit 1
        """,
    )
    assert load == [(10, 2, 6, 1, 0, 1, 0)]


@slow
def test_the_canonical_model_differs_in_the_same_records(wave: Wave) -> None:
    expected = wave.prediction.records
    assert moved(wave.before, wave.after, "dmo.individual", "id") == set(expected)
    assert says(wave, "dmo.individual", "id", expected) == expected
    for name in wave.after:
        if name.startswith("dmo."):
            found = moved(wave.before, wave.after, name, "source_record_id")
            assert found <= set(expected), name
    gone = wave.before["reference.phone"].rows - wave.after["reference.phone"].rows
    assert not gone


@slow
def test_profiles_differ_as_predicted_and_all_others_in_no_byte(wave: Wave) -> None:
    expected = wave.prediction.profiles
    table, key = "unified.unified_individual", "unified_individual_id"
    assert moved(wave.before, wave.after, table, key) == set(expected)
    assert says(wave, table, key, expected) == expected
    for name in wave.after:
        if name.startswith("unified.") and key in wave.after[name].columns:
            assert moved(wave.before, wave.after, name, key) <= set(expected), name
    assert differing(wave, {"unified.unified_account"}) == set()


@slow
def test_links_and_redirects_are_the_predicted_ones(wave: Wave) -> None:
    """An id that moved to somebody else would hand one person's history to another."""
    expected, table = wave.prediction, "identity.unified_link_individual"
    found = moved(wave.before, wave.after, table, "record")
    assert found == expected.links.keys() | expected.tiers
    leads = {record: person for person, record, *_ in wave.after[table].rows}
    led = {record: person for person, record, *_ in wave.before[table].rows}
    assert {record: leads.get(record) for record in expected.links} == expected.links
    assert all(leads[record] == led[record] for record in expected.tiers)
    assert differing(wave, {"identity.unified_link_account"}) == set()
    redirects = wave.after["identity.redirect"].rows
    new = redirects - wave.before["identity.redirect"].rows
    assert {row[0]: (row[1], row[2]) for row in new} == expected.redirects
    assert not wave.before["identity.redirect"].rows - redirects
    changes = ask(
        wave.root,
        """
        select unified_individual_id, kind from identity.change
        where run = (select max(run) from ops.run)
        """,
    )
    assert dict(changes) == expected.kinds


@slow
def test_insights_and_segments_move_for_nobody_else(wave: Wave) -> None:
    key, people = "unified_individual_id", set(wave.prediction.profiles)
    for name, table in wave.after.items():
        if name.startswith(("insights.", "segments.")) and key in table.columns:
            assert moved(wave.before, wave.after, name, key) <= people, name
    employers = ask(
        wave.root,
        """
        select distinct unified_account_id
        from identity.unified_link_account as link
        inner join dlo.crm_contact as c on link.record = 'crm_account:' || c.AccountId
        where c._record_id in (select unnest(?))
        """,
        [list(wave.prediction.records)],
    )
    accounts = moved(
        wave.before, wave.after, "insights.account_health", "unified_account_id"
    )
    assert accounts <= {account for (account,) in employers}


@slow
def test_published_profiles_are_replaced_for_nobody_else(wave: Wave) -> None:
    before, after = wave.documents_before, wave.documents_after
    differ = {person for person, _ in before.items() ^ after.items()}
    assert differ == set(wave.prediction.profiles)
    assert before.keys() - after.keys() == set(wave.prediction.redirects)
    for retired, (kind, live) in wave.prediction.redirects.items():
        found = find(Paths(wave.root), retired)
        assert (found is None) == (kind == "emptied")
        assert found is None or (found["unified_individual_id"],) == live


@slow
def test_messages_leave_for_nobody_else(wave: Wave) -> None:
    with contextlib.closing(sqlite3.connect(wave.root / "outbox.sqlite")) as outbox:
        told = outbox.execute(
            "select distinct unified_individual_id from outbox where sequence > ?",
            (wave.outbox_before,),
        ).fetchall()
    assert {person for (person,) in told} <= set(wave.prediction.profiles)


def differing(wave: Wave, names: set[str]) -> set[str]:
    """Those of the tables that are not what they were."""
    return {n for n in names if wave.before[n].rows != wave.after[n].rows}


def says(
    wave: Wave, table: str, key: str, expected: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the rows say in the fields about which something is expected."""
    columns = wave.after[table].columns
    rows = {
        row[columns.index(key)]: dict(zip(columns, row, strict=True))
        for row in wave.after[table].rows
    }
    return {
        name: {each: rows[name][each] for each in fields} if name in rows else {}
        for name, fields in expected.items()
    }


def ask(root: Path, query: str, parameters: list[Any] | None = None) -> list[Row]:
    with Warehouse(Paths(root)).reading() as connection:
        return connection.execute(query, parameters).fetchall()
