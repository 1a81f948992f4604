"""A merge told to destinations that have a word for it: what each of them receives."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.activation.claims import _IS_FIRST
from cdp_assets.activation.delivery import DeliveryResult, deliver, deliver_activation
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.outbox import SCHEMA, Outbox
from cdp_assets.activation.rehearsal import rehearse
from cdp_assets.activation.settlement import settle
from cdp_assets.activation.showing import show
from cdp_assets.activation.spec import ActivationSpec, check_destination
from cdp_assets.declarations import DeclarationError, read_declarations
from cdp_assets.paths import PACKAGE, Paths
from cdp_assets.warehouse import Warehouse, transaction
from tests.activation.conftest import WEBHOOK
from tests.activation.contracts import CONTRACTS, Service, serving
from tests.activation.waiting import AS_OF, Answering, asked, declare, fill

ALL = ["add", "update", "remove", "alias"]


@pytest.fixture
def outbox(paths: Paths) -> Outbox:
    return Outbox(paths.outbox)


def deliver_all(outbox: Outbox, destination: Answering) -> DeliveryResult:
    return deliver(outbox, declare(), destination, at=AS_OF, budget_seconds=5)


@pytest.mark.parametrize("whose", ["loser", "winner"])
def test_an_alias_needs_the_consent_of_both_as_it_leaves(
    outbox: Outbox, whose: str
) -> None:
    fill(outbox, ["loser", "winner"])
    destination = Answering()
    deliver_all(outbox, destination)
    fill(outbox, ["winner"], operation="alias", previous="loser")
    with outbox.connect() as connection:
        connection.execute(
            "update consent set status = 'opt_out' where contact_point_value = ?",
            [f"{whose}@example.test"],
        )

    assert deliver_all(outbox, destination).withheld == 1
    assert destination.people == [["loser"], ["winner"]]
    ((state, consent),) = asked(
        outbox, "select state, consent_record from outbox where operation = 'alias'"
    )
    assert state == "withheld"
    assert consent is not None


def test_an_alias_of_a_merge_that_was_undone_does_not_leave(outbox: Outbox) -> None:
    """No destination can be untold that two people are one."""
    fill(outbox, ["loser", "winner"])
    destination = Answering()
    deliver_all(outbox, destination)
    fill(outbox, ["winner"], operation="alias", previous="loser")
    with outbox.connect() as connection:
        connection.execute("delete from merge")

    assert deliver_all(outbox, destination).withheld == 1
    assert asked(outbox, "select reason from outbox where operation = 'alias'") == [
        ("the merge does not stand any more",)
    ]


def test_what_an_alias_did_away_with_is_not_removed_as_well(outbox: Outbox) -> None:
    """A service for which the loser is the winner now would remove the winner."""
    fill(outbox, ["loser", "winner"])
    destination = Answering()
    deliver_all(outbox, destination)
    fill(outbox, ["winner"], operation="alias", previous="loser")
    fill(outbox, ["loser"], operation="remove")

    assert deliver_all(outbox, destination).withheld == 1
    sent = [
        change.operation for batch in destination.batches for change in batch.changes
    ]
    assert sent == ["add", "add", "alias"]


@pytest.mark.parametrize("known", [["loser", "winner"], ["loser"]])
def test_who_was_joined_by_an_alias_is_removed_as_themselves(
    outbox: Outbox, known: list[str]
) -> None:
    """The alias stands with the winner and carries the loser's payload."""
    fill(outbox, known)
    destination = Answering()
    deliver_all(outbox, destination)
    loser, winner = "loser@example.test", "winner@example.test"
    fill(outbox, ["winner"], operation="alias", previous="loser", email=loser)
    deliver_all(outbox, destination)
    # The update that follows an alias never left: consent went first.
    fill(outbox, ["winner"], operation="update")
    fill(outbox, ["winner"], operation="remove")
    deliver_all(outbox, destination)

    sent = [each for batch in destination.batches for each in batch.changes]
    assert [
        (each.operation, json.loads(each.payload)["email"])
        for each in sent[len(known) :]
    ] == [("alias", loser), ("remove", winner)]


def test_an_alias_is_shown_without_either_contact_point_unless_asked(
    outbox: Outbox,
) -> None:
    (number,) = fill(outbox, ["winner"], operation="alias", previous="loser")

    shown = show(outbox, number)
    assert (shown["operation"], shown["previous_individual_id"]) == ("alias", "loser")
    assert "example.test" not in str(shown)

    asked_for = show(outbox, number, payload=True)
    assert asked_for["contact_point_value"] == "winner@example.test"
    assert asked_for["previous_contact_point_value"] == "loser@example.test"
    assert asked_for["payload"]["email"] == "winner@example.test"


def test_an_alias_of_who_was_joined_before_names_them_and_nobody_earlier(
    outbox: Outbox,
) -> None:
    fill(outbox, ["first", "second", "third"])
    destination = Answering()
    deliver_all(outbox, destination)
    for winner, loser in (("second", "first"), ("third", "second")):
        mail = f"{loser}@example.test"
        fill(outbox, [winner], operation="alias", previous=loser, email=mail)
        deliver_all(outbox, destination)

    sent = [each for batch in destination.batches for each in batch.changes]
    assert [json.loads(each.payload)["email"] for each in sent[3:]] == [
        "first@example.test",
        "second@example.test",
    ]


def test_changes_to_either_contact_point_of_an_alias_wait_for_it(
    outbox: Outbox,
) -> None:
    fill(outbox, ["loser", "winner"])
    deliver_all(outbox, Answering())
    fill(outbox, ["winner"], operation="alias", previous="loser")
    fill(outbox, ["heir"], mail="loser@example.test")
    fill(outbox, ["wife"], mail="winner@example.test")
    fill(outbox, ["loser"], operation="remove")
    destination = Answering(rows=10)

    deliver_all(outbox, destination)

    assert destination.people == [["winner"], ["heir", "wife"]]
    with outbox.connect() as connection:
        plan = connection.execute(
            f"explain query plan select sequence from outbox as o where "
            f"o.activation = 'welcome' and o.state in ('pending', 'delivering') "
            f"and {_IS_FIRST}"
        ).fetchall()
    # Looked up, not looked through: with 100,000 waiting it is 3 ms or 250.
    assert not [row for row in plan if row[-1].startswith("SCAN")]
    used = " ".join(row[-1] for row in plan)
    for index in (
        "person",
        "contact_point",
        "previous_person",
        "previous_contact_point",
    ):
        assert f"outbox_{index} " in used
    assert "waiting_identifier_of " in used


def test_an_alias_of_an_earlier_version_does_not_leave(paths: Paths) -> None:
    """Nothing says whose consent it needs, nor whether its merge stands."""
    paths.root.mkdir(exist_ok=True)
    connection = sqlite3.connect(paths.outbox, isolation_level=None)
    for script in sorted(SCHEMA.glob("000[1-4]*.sql")):
        connection.executescript(script.read_text())
    connection.execute("pragma user_version = 4")
    connection.executemany(
        "insert into outbox (sequence, idempotency_key, activation, segment, "
        "unified_individual_id, operation, cause, payload, planned_run, planned_at, "
        "next_attempt_at, state, attempts, previous_individual_id) values "
        "(?, ?, 'welcome', 's', ?, ?, 'c', '{}', 1, '', '', ?, 1, ?)",
        [
            (1, "a", "loser", "add", "delivered", None),
            (2, "b", "winner", "alias", "pending", "loser"),
        ],
    )
    connection.close()
    outbox, destination = Outbox(paths.outbox), Answering()

    assert deliver_all(outbox, destination).withheld == 1
    assert destination.batches == []
    assert asked(outbox, "select sequence, state from outbox order by 1") == [
        (1, "delivered"),
        (2, "withheld"),
    ]


class Told(Answering):
    """A destination that has an alias, or had one: it may be away for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.refuses: set[str] = set()
        self.heard: list[tuple[str, ...]] = []

    def answer(self, batch: Batch) -> list[Reply]:
        (one,) = batch.changes
        if self.is_away:
            return [Reply(one.idempotency_key, "unavailable", "away", reached=False)]
        if one.operation in self.refuses:
            return [Reply(one.idempotency_key, "rejected", "no")]
        who = (one.previous_individual_id, one.unified_individual_id)
        self.heard.append((one.operation, *filter(None, who)))
        return [Reply(one.idempotency_key, "delivered")]


@pytest.fixture
def told(world: Any, activation: Any) -> Any:
    """Plans, hands over, delivers and settles, as a whole run does."""
    destination = Told()
    spec = activation(operations=ALL)

    def run(*, at: Any = AS_OF) -> list[tuple[str, ...]]:
        destination.heard.clear()
        world.plan(spec, at)
        world.hand_over()
        budget = 0.2 if destination.is_away else 5
        deliver(world.outbox, spec, destination, at=at, budget_seconds=budget)
        with world.outbox.connect() as connection:
            connection.execute("delete from breaker")
        with transaction(world.connection):
            settle(world.connection, world.outbox)
        return list(destination.heard)

    run.destination, run.spec = destination, spec  # type: ignore[attr-defined]
    return run


@pytest.fixture
def couple(world: Any, told: Any) -> Any:
    """Two people whom the destination holds, with an address each."""
    world.person("ada", value=100)
    world.person("bob", value=50)
    assert told() == [("add", "ada"), ("add", "bob")]
    return world


def merge(world: Any) -> None:
    world.merges("ada", "bob")
    world.email("bob", "ada@example.test", rank=2)
    world.worth("bob", 150)


def undo(world: Any) -> None:
    world.leads("ada", "ada2")
    world.connection.execute(
        "delete from unified.unified_contact_point_email where id like 'bob-ada%'"
    )
    world.worth("bob", 50)
    world.person("ada2", email="ada@example.test", value=100)


def test_a_merge_is_an_alias_and_then_what_the_winner_is_now(
    couple: Any, told: Any
) -> None:
    merge(couple)
    assert told() == [("alias", "ada", "bob"), ("update", "bob")]
    assert told() == []
    # What was known of the loser is forgotten once the destination was told.
    assert couple.row(
        "select operation, outcome, is_held, payload, merged_into "
        "from activation.sent_state where unified_individual_id = 'ada'"
    ) == ("alias", "delivered", False, None, "bob")

    undo(couple)
    assert told() == [("add", "ada2"), ("update", "bob")]
    assert told() == []


def test_a_winner_of_whom_nothing_changed_is_sent_again_all_the_same(
    couple: Any, told: Any
) -> None:
    """A service may have let the loser's fields stand for both."""
    couple.merges("ada", "bob")
    assert told() == [("alias", "ada", "bob"), ("update", "bob")]
    assert told() == []


def test_a_winner_who_was_never_sent_takes_the_losers_place(
    world: Any, told: Any
) -> None:
    world.person("ada")
    world.person("bob", consent=None)
    assert told() == [("add", "ada")]
    world.merges("ada", "bob")
    world.email("bob", "ada@example.test", rank=2)

    assert told() == [("alias", "ada", "bob"), ("add", "bob")]
    assert told() == []


def test_of_three_who_become_one_two_are_told(couple: Any, told: Any) -> None:
    couple.person("cyd")
    told()
    couple.merges("ada", "cyd")
    couple.merges("bob", "cyd")

    assert told() == [
        ("alias", "ada", "cyd"),
        ("alias", "bob", "cyd"),
        ("update", "cyd"),
    ]


@pytest.mark.parametrize("whose", ["ada", "bob"])
def test_no_alias_is_planned_where_consent_is_withheld_for_either(
    couple: Any, told: Any, whose: str
) -> None:
    couple.merges("ada", "bob")
    couple.consent(f"{whose}@example.test", "opt_out")

    expected = {
        "ada": [("remove", "ada")],
        "bob": [("remove", "ada"), ("remove", "bob")],
    }
    assert told() == expected[whose]
    assert told() == []


def test_a_loser_whose_winner_is_no_member_is_removed(couple: Any, told: Any) -> None:
    couple.merges("ada", "bob")
    couple.leaves("bob")

    assert told() == [("remove", "ada"), ("remove", "bob")]


def test_a_loser_whom_the_destination_never_had_is_nobody_there(
    world: Any, told: Any
) -> None:
    world.person("ada", consent=None)
    world.person("bob")
    told()
    world.merges("ada", "bob")

    assert told() == []


def test_who_was_parted_among_two_is_no_alias(couple: Any, told: Any) -> None:
    couple.vanishes("ada")
    couple.leads("ada", "bob", "eve")
    couple.person("eve")

    assert told() == [("remove", "ada"), ("add", "eve")]


def test_an_alias_that_waits_as_its_merge_is_undone_is_a_removal(
    couple: Any, told: Any
) -> None:
    """Sent later it would make two people one for ever."""
    told.destination.is_away = True
    merge(couple)
    assert told() == []
    undo(couple)
    assert told() == []
    told.destination.is_away = False

    heard = told()

    # The address is ada2's only once it is no longer ada's.
    assert sorted(heard) == [("add", "ada2"), ("remove", "ada"), ("update", "bob")]
    assert heard.index(("remove", "ada")) < heard.index(("add", "ada2"))
    assert told() == []
    assert couple.row(
        "select is_held from activation.sent_state where unified_individual_id = 'ada'"
    ) == (False,)
    assert couple.waiting("select reason from outbox where operation = 'alias'") == [
        ("the merge does not stand any more",)
    ]


def test_an_opt_out_while_an_alias_waits_removes_who_it_was_of(
    couple: Any, told: Any
) -> None:
    told.destination.is_away = True
    merge(couple)
    told()
    couple.consent("ada@example.test", "opt_out")
    told()
    told.destination.is_away = False

    heard = told()

    assert ("remove", "ada") in heard
    assert "alias" not in {operation for operation, *_ in heard}
    assert told() == []


def test_an_alias_that_is_refused_is_a_removal_in_the_next_run(
    couple: Any, told: Any
) -> None:
    told.destination.refuses = {"alias"}
    merge(couple)
    assert told() == [("update", "bob")]

    assert told() == [("remove", "ada")]
    assert told() == []


def test_a_rehearsal_names_both_people_and_no_values(couple: Any, told: Any) -> None:
    merge(couple)
    found = rehearse(couple.connection, told.spec, couple.outbox, AS_OF)

    assert found.counts == {"alias": 1, "update": 1}
    first = found.rows[0]
    assert (first.operation, first.previous_individual_id) == ("alias", "ada")
    assert (first.unified_individual_id, first.fields) == ("bob", ())


class Keeping(Told):
    """Knows whom it holds, and takes nothing that makes no sense to it."""

    def __init__(self, merged: dict[str, str]) -> None:
        super().__init__()
        self.holds: set[str] = set()
        self.merged = merged

    def answer(self, batch: Batch) -> list[Reply]:
        (reply,) = super().answer(batch)
        (one,) = batch.changes
        person, previous = one.unified_individual_id, one.previous_individual_id
        if reply.outcome != "delivered":
            return [reply]
        if previous is not None:
            assert self.merged.get(previous) == person, "they are two people"
            assert previous in self.holds, "it never heard of them"
            self.holds.remove(previous)
            self.holds.add(person)
        elif one.operation == "remove":
            assert person in self.holds, "it never heard of them"
            self.holds.remove(person)
        else:
            self.holds.add(person)
        return [reply]


steps = st.lists(
    st.tuples(
        st.sampled_from(["leave", "enter", "yes", "no", "merge", "undo", "away"]),
        st.sampled_from(["ada", "bob", "cyd"]),
        st.sampled_from(["ada", "bob", "cyd"]),
    ),
    min_size=2,
    max_size=8,
)


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=4, **QUIET)
@given(steps)
def test_after_any_merges_the_destination_holds_exactly_who_it_may(
    tmp_path_factory: pytest.TempPathFactory,
    world: Any,
    activation: Any,
    history: list[tuple[str, str, str]],
) -> None:
    """Merged, undone and merged again, with consent that comes and goes."""
    root = tmp_path_factory.mktemp("data")
    live_through(root, type(world), activation(operations=ALL), history)


@pytest.mark.long
@settings(max_examples=150, **QUIET)
@given(steps)
def test_after_many_merges_the_destination_holds_exactly_who_it_may(
    tmp_path_factory: pytest.TempPathFactory,
    world: Any,
    activation: Any,
    history: list[tuple[str, str, str]],
) -> None:
    root = tmp_path_factory.mktemp("data")
    live_through(root, type(world), activation(operations=ALL), history)


def live_through(
    root: Path, kind: Any, spec: Any, history: list[tuple[str, str, str]]
) -> None:
    paths = Paths(root)
    with Warehouse(paths).writing("a test") as connection:
        people = People(kind(paths, connection))
        destination = Keeping(people.merged)
        for action, name, other in [("enter", "ada", "ada"), *history]:
            people.step(action, name, other)
            destination.is_away = action == "away"
            run_once(people.world, spec, destination)
        destination.is_away = False
        # What was withheld or waited in one run is put right by the next.
        for _ in range(2):
            run_once(people.world, spec, destination)

        assert destination.holds == people.expected()
        destination.heard.clear()
        run_once(people.world, spec, destination)
        assert destination.heard == []


def run_once(world: Any, spec: Any, destination: Told) -> None:
    world.send_off(spec)
    budget = 0.05 if destination.is_away else 5
    deliver(world.outbox, spec, destination, at=AS_OF, budget_seconds=budget)
    with world.outbox.connect() as connection:
        connection.execute("delete from breaker")
    with transaction(world.connection):
        settle(world.connection, world.outbox)


class People:
    """Three people, who become one another and themselves again."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.merged: dict[str, str] = {}
        self.alive = {name: name for name in ("ada", "bob", "cyd")}
        self.inside = set(self.alive)
        self.consent = dict.fromkeys(self.alive, True)
        for name in self.alive:
            world.person(name)

    def step(self, action: str, name: str, other: str) -> None:
        """Do one thing to whoever has the name's first records."""
        if action in ("yes", "no"):
            self.consent[name] = action == "yes"
            status = {"yes": "opt_in", "no": "opt_out"}[action]
            self.world.consent(f"{name}@example.test", status)
        elif action == "leave" and name in self.inside:
            self.inside.remove(name)
            self.world.leaves(self.alive[name])
        elif action == "enter" and name in self.alive and name not in self.inside:
            self.inside.add(name)
            self.world.enters(self.alive[name])
        elif action == "merge" and name != other and {name, other} <= set(self.alive):
            retired, living = self.alive.pop(name), self.alive[other]
            self.inside.discard(name)
            self.world.vanishes(retired)
            self.lead(retired, living)
        elif action == "undo" and name not in self.alive:
            fresh = f"{name}{len(self.merged)}"
            for retired in [key for key in self.merged if key.startswith(name)]:
                self.lead(retired, fresh)
            self.alive[name] = fresh
            self.inside.add(name)
            self.world.person(fresh, email=None)
            self.world.email(fresh, f"{name}@example.test")

    def lead(self, retired: str, living: str) -> None:
        """As identity does: always in one hop to the living."""
        for one, leads in [(retired, retired), *self.merged.items()]:
            if leads == retired or one == retired:
                self.merged[one] = living
                self.world.leads(one, living)

    def expected(self) -> set[str]:
        return {self.alive[name] for name in self.inside if self.consent[name]}


TABLE = """
    create table audience (
        unified_individual_id varchar(40) primary key, idempotency_key varchar(40),
        email varchar(60), first_name varchar(60), value decimal(18,2)
    )
"""


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(CONTRACTS["segment"]) as running:
        yield running


@pytest.fixture
def everywhere(
    world: Any,
    activation: Any,
    receiver: Any,
    hook: Any,
    service: Service,
    tmp_path: Path,
) -> Any:
    """Plans and delivers to four destinations; what each of them got by that."""
    url = f"sqlite:///{tmp_path / 'audience.db'}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(TABLE))
    specs = [
        activation(destination=WEBHOOK | {"concurrency": 1}, operations=ALL),
        activation(name="listing", destination={"kind": "file", "format": "csv"}),
        activation(
            name="base",
            destination={"kind": "sql", "url_env": "DATABASE", "table": "audience"},
        ),
        activation(
            name="tracked",
            destination={
                "kind": "http",
                "template": "segment",
                "environment": {"write_key": "WRITE_KEY"},
                "settings": {"base_url": service.url},
                "rate": "1000 per second",
            },
        ),
    ]
    environ = hook | {"DATABASE": url, "WRITE_KEY": "write-key"}
    seen: dict[str, int] = {}

    def run() -> dict[str, list[Any]]:
        for spec in specs:
            world.plan(spec)
            world.hand_over()
            done = deliver_activation(
                world.outbox, spec, world.paths, environ=environ, at=AS_OF
            )
            assert done.status == "done"
        with transaction(world.connection):
            settle(world.connection, world.outbox)
        got = {
            "webhook": posted(receiver),
            "file": written(world),
            "segment": tracked(service),
        }
        news = {name: all_[seen.get(name, 0) :] for name, all_ in got.items()}
        seen.update({name: len(all_) for name, all_ in got.items()})
        with engine.connect() as connection:
            rows = connection.execute(
                sa.text("select unified_individual_id, value from audience order by 1")
            ).fetchall()
        return news | {"sql": [(person, float(value)) for person, value in rows]}

    yield run
    engine.dispose()


def posted(receiver: Any) -> list[Any]:
    if not receiver.path.exists():
        return []
    bodies = [json.loads(line) for line in receiver.path.read_text().splitlines()]
    data = [body["message"]["data"] for body in bodies]
    return [
        (each["operation"], *named(each, "previous_individual_id"), person(each))
        for each in data
    ]


def named(each: dict[str, Any], key: str) -> list[str]:
    return [each[key]] if key in each else []


def person(each: dict[str, Any]) -> str:
    return str(each["unified_individual_id"])


def written(world: Any) -> list[Any]:
    rows: list[Any] = []
    for file in sorted((world.paths.outgoing / "listing").glob("*.csv")):
        with file.open(newline="") as lines:
            rows += [(row["operation"], person(row)) for row in csv.DictReader(lines)]
    return rows


def tracked(service: Service) -> list[Any]:
    return [
        (event["type"], *named(event, "previousId"), event["userId"])
        if event["type"] == "alias"
        else (event["type"], event["userId"], event["traits"]["tracked"])
        for event in service.held.values()
    ]


def test_merge_split_and_undo_reach_each_destination_in_its_own_words(
    world: Any, everywhere: Any
) -> None:
    world.person("ada", value=100)
    world.person("bob", value=50)
    assert everywhere() == {
        "webhook": [("add", "ada"), ("add", "bob")],
        "file": [("add", "ada"), ("add", "bob")],
        "segment": [("identify", "ada", True), ("identify", "bob", True)],
        "sql": [("ada", 100), ("bob", 50)],
    }

    merge(world)
    assert everywhere() == {
        "webhook": [("alias", "ada", "bob"), ("update", "bob")],
        # A file has no alias.
        "file": [("remove", "ada"), ("update", "bob")],
        "segment": [("alias", "ada", "bob"), ("identify", "bob", True)],
        "sql": [("bob", 150)],
    }

    undo(world)
    assert everywhere() == {
        "webhook": [("add", "ada2"), ("update", "bob")],
        "file": [("add", "ada2"), ("update", "bob")],
        "segment": [("identify", "ada2", True), ("identify", "bob", True)],
        "sql": [("ada2", 100), ("bob", 50)],
    }

    # A split: bob stays, somebody new has part of what was his.
    world.worth("bob", 20)
    world.person("eve", value=30)
    assert everywhere() == {
        "webhook": [("update", "bob"), ("add", "eve")],
        "file": [("update", "bob"), ("add", "eve")],
        "segment": [("identify", "bob", True), ("identify", "eve", True)],
        "sql": [("ada2", 100), ("bob", 20), ("eve", 30)],
    }
    nothing = {"webhook": [], "file": [], "segment": []}
    assert everywhere() == nothing | {"sql": [("ada2", 100), ("bob", 20), ("eve", 30)]}


@pytest.mark.parametrize("kind", ["file", "s3", "sftp"])
def test_an_alias_to_files_is_refused_where_it_is_declared(
    activation: Any, kind: str
) -> None:
    more = {
        "file": {},
        "s3": {"bucket": "b12", "access_key_env": "A", "secret_key_env": "S"},
        "sftp": {"url_env": "U", "key_env": "K"},
    }
    spec = activation(
        destination={"kind": kind, "format": "csv"} | more[kind], operations=ALL
    )
    with pytest.raises(DeclarationError, match=r"welcome\.yaml: operations: a file"):
        check_destination(spec)


def test_an_alias_without_an_update_is_refused_with_its_place(tmp_path: Path) -> None:
    shipped = PACKAGE / "activation" / "cart_abandoners.yaml"
    text = shipped.read_text() + "operations: [add, remove, alias]\n"
    (tmp_path / shipped.name).write_text(text)
    line = text.count("\n")

    with pytest.raises(DeclarationError) as caught:
        read_declarations(tmp_path, ActivationSpec)

    said = str(caught.value)
    assert said.startswith("cart_abandoners.yaml: ")
    assert f"line {line}: operations: an 'alias' joins two people" in said
    assert "write [update, add, remove, alias], or leave out 'alias'" in said


def test_operations_that_are_not_said_are_those_that_the_destination_has(
    activation: Any,
) -> None:
    def of(**destination: Any) -> tuple[str, ...]:
        return tuple(activation(destination=destination).operations)

    usual = ("add", "update", "remove")
    assert of(**WEBHOOK) == of(kind="file", format="csv") == usual
    assert of(kind="sql", url_env="U", table="t") == (*usual, "alias")
    assert of(kind="http", template="segment") == (*usual, "alias")
    assert of(kind="http", template="hubspot") == usual
    assert of(kind="http", template="hubspott") == usual
