"""``cdp activate NAME``: look at a plan before it leaves, and let a held one go."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click.testing
import duckdb
import pytest

from cdp_assets import cli
from cdp_assets.activation import spec as declared
from cdp_assets.activation.caps import held_plans
from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.outbox import states
from cdp_assets.activation.settlement import settle
from cdp_assets.digests import digests
from cdp_assets.paths import Paths
from cdp_assets.runs import pin_as_of
from cdp_assets.warehouse import Warehouse, transaction
from tests.activation.conftest import AS_OF, World
from tests.activation.waiting import Accepting

DECLARATION = """
name: welcome
label: Welcome
description: A file of whoever is welcome.
owner: team:crm
segment: vip
destination: {kind: webhook, url_env: HOOK_URL, secret_env: HOOK_SECRET}
channel: email
purpose: marketing
operations: [add, update, remove, alias]
caps: {max_rows: 3}
mapping:
  email: contact.email_address
  value: lifetime_value.lifetime_value
"""
Run = Callable[..., click.testing.Result]
Prepare = Callable[[Callable[[World], Any]], Any]


@pytest.fixture(autouse=True)
def activations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One activation is declared, in a folder of the test's own."""
    folder = tmp_path / "declared"
    folder.mkdir()
    (folder / "welcome.yaml").write_text(DECLARATION)
    load = partial(declared.load_activations, folder)
    monkeypatch.setattr(declared, "load_activations", load)


@pytest.fixture
def run(paths: Paths) -> Run:
    """Runs ``cdp activate`` over a runtime folder of the test's own."""

    def command(*arguments: str) -> click.testing.Result:
        environment = {"CDP_DATA": str(paths.root)}
        return click.testing.CliRunner().invoke(
            cli.main, ["activate", *arguments], env=environment
        )

    return command


@pytest.fixture
def prepare(paths: Paths) -> Prepare:
    """Opens the warehouse for a step of the test, and closes it for the command's."""
    worlds: list[World] = []

    def step(act: Callable[[World], Any]) -> Any:
        with Warehouse(paths).writing("a test") as connection:
            if worlds:
                worlds[0].connection = connection
            else:
                worlds.append(World(paths, connection))
            return act(worlds[0])

    pin_as_of(paths, AS_OF)
    return step


def members(*names: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        for name in names:
            world.person(name)

    return act


def send(world: World) -> None:
    """Plan and deliver, whatever the caps say, as a run after a release does."""
    (spec,) = declared.load_activations().values()
    world.plan_released(spec, 1_000)
    world.hand_over()
    deliver(world.outbox, spec, Accepting(), at=AS_OF, budget_seconds=5)
    with transaction(world.connection):
        settle(world.connection, world.outbox)


def plan(world: World) -> Any:
    (spec,) = declared.load_activations().values()
    return world.plan(spec)


def waiting(world: World) -> dict[str, int]:
    with world.outbox.connect() as connection:
        return states(connection, "welcome")


def held(world: World) -> list[int]:
    return [each.rows for each in held_plans(world.connection)]


def everything(paths: Paths) -> dict[str, str]:
    with duckdb.connect(str(paths.warehouse), read_only=True) as connection:
        return digests(connection, ("activation", "ops", "governance", "segments"))


def test_a_dry_run_shows_what_would_leave_and_changes_nothing(
    run: Run, prepare: Prepare, paths: Paths
) -> None:
    def people(world: World) -> None:
        world.person("ada", value=100)
        send(world)
        world.worth("ada", 150)
        world.person("bob")
        world.person("cyd", consent="opt_out")
        world.person("dee", email=None)

    prepare(people)
    before = everything(paths)

    result = run("welcome", "--dry-run")

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "4 members; 3 add, 1 update"
    assert "1 withheld: no usable contact point" in result.output
    assert "1 withheld: opted out" in result.output
    assert "It would be HELD: 4 changes, above max_rows 3" in lines
    at = lines.index("update  ada  (changed)")
    assert lines[at + 1] == "        value: 100.0 -> 150.0"
    # Insights are told, what the profile says is not, unless somebody asks for it.
    assert "@" not in result.output
    assert '        email: - -> "***"' in lines
    assert everything(paths) == before
    assert prepare(waiting) == {"delivered": 1}

    shown = run("welcome", "--dry-run", "--show-values", "--limit", "2").output
    assert '        email: - -> "bob@example.test"' in shown.splitlines()
    assert "cyd" not in shown
    assert "… and 2 more" in shown


def test_a_dry_run_with_nothing_owed_says_so(run: Run, prepare: Prepare) -> None:
    prepare(members("ada"))
    prepare(send)

    assert run("welcome", "--dry-run").output.splitlines() == [
        "1 members; nothing to send"
    ]


def test_a_dry_run_names_both_people_of_an_alias(run: Run, prepare: Prepare) -> None:
    prepare(members("ada", "bob"))
    prepare(send)
    prepare(lambda world: world.merges("ada", "bob"))

    lines = run("welcome", "--dry-run").output.splitlines()

    assert lines == [
        "1 members; 1 alias, 1 update",
        "alias   bob  (merged)  was ada",
        "update  bob  (merged)",
    ]


def test_a_held_plan_leaves_when_it_is_released_and_not_before(
    run: Run, prepare: Prepare
) -> None:
    prepare(members("ada", "bob", "cyd", "dee"))
    assert prepare(plan).held == 4
    prepare(World.hand_over)
    assert prepare(waiting) == {}

    result = run("welcome", "--release")

    assert result.exit_code == 0, result.output
    assert result.output == "4 changes go out with the next delivery: `cdp run`\n"
    assert prepare(waiting) == {"pending": 4}
    assert prepare(held) == []
    again = run("welcome", "--release")
    assert again.exit_code == 1
    assert "no plan of welcome is held; `cdp activate welcome --dry-run`" in (
        again.output
    )
    assert prepare(waiting) == {"pending": 4}


def test_a_plan_that_grew_since_it_was_held_is_not_what_was_released(
    run: Run, prepare: Prepare
) -> None:
    """Whoever looked at 4 changes did not say yes to 5."""
    prepare(members("ada", "bob", "cyd", "dee"))
    prepare(plan)
    prepare(members("eve"))

    result = run("welcome", "--release")

    assert result.exit_code == 1
    assert "the plan grew from 4 to 5 changes since it was held" in result.output
    assert prepare(waiting) == {}
    # Held as it is now, and so it may be released.
    assert prepare(held) == [5]
    assert run("welcome", "--release").exit_code == 0
    assert prepare(waiting) == {"pending": 5}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["welcom", "--dry-run"],
            1,
            "'welcom' is no activation; did you mean 'welcome'?",
        ),
        (["welcome"], 2, "write either --dry-run or --release"),
        (["welcome", "--dry-run", "--release"], 2, "write either"),
        (["welcome", "--dry-run"], 1, "load something first"),
        (["welcome", "--release"], 1, "load something first"),
    ],
)
def test_what_cannot_be_done_says_what_can(
    run: Run, paths: Paths, arguments: list[str], code: int, words: str
) -> None:
    result = run(*arguments)

    assert result.exit_code == code
    assert words in result.output
    assert not paths.warehouse.exists()
