"""``cdp segment`` at a terminal, over a warehouse of its own."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pytest

from cdp_assets import cli
from cdp_assets.digests import digests
from cdp_assets.paths import Paths
from cdp_assets.runs import pin_as_of
from cdp_assets.warehouse import Warehouse

Run = Callable[..., click.testing.Result]
NOW = dt.datetime(2026, 6, 1, 12)

VIP = """
name: vip
label: VIP
description: Worth a lot.
owner: team:crm
condition: lifetime_value.lifetime_value >= 100 and profile.country = 'DE'
"""


@pytest.fixture
def run(paths: Paths) -> Run:
    """Runs one command over a runtime folder of the test's own."""

    def command(*arguments: str) -> click.testing.Result:
        environment = {"CDP_DATA": str(paths.root)}
        return click.testing.CliRunner().invoke(cli.main, arguments, env=environment)

    return command


@pytest.fixture
def filled(warehouse: Warehouse, paths: Paths, new_world: Any, segment: Any) -> None:
    """Three people; Ada and Cy are members of vip, Cy and Bob of worth_something."""
    pin_as_of(paths, NOW)
    with warehouse.writing("a test") as connection:
        world = new_world(connection)
        connection.execute(
            "alter table unified.unified_individual add column person_name varchar "
            "default 'Nobody Inparticular'"
        )
        for name, value in (("ada", 150), ("bob", 120), ("cy", 10)):
            connection.execute(
                "insert into unified.unified_individual values (?, 'DE', ?)",
                [name, f"{name.title()} Example"],
            )
            connection.execute(
                "insert into insights.lifetime_value values (?, ?)", [name, value]
            )
            world.bought(name, value, NOW - dt.timedelta(days=3))
        world.update(
            segment(condition="profile.unified_individual_id in ('ada', 'cy')"),
            segment(
                name="worth_something",
                condition="lifetime_value.lifetime_value < 130",
            ),
            at=NOW,
        )


def test_a_file_is_previewed_and_nothing_is_written(
    run: Run, filled: None, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "vip.yaml"
    path.write_text(VIP)
    with warehouse.reading() as connection:
        before = digests(connection, ["segments"])

    shown = run("segment", "preview", str(path), "--sample", "1")

    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines() == [
        "vip: 2 of 3 people (66.7%); 1 would enter, 1 leave",
        "     alone  without it  part of the condition",
        "         2           3  (lifetime_value.lifetime_value >= 100)",
        "         3           2  (profile.country = 'DE')",
        "ada",
    ]
    with warehouse.reading() as connection:
        assert digests(connection, ["segments"]) == before


def test_a_declared_segment_is_previewed_as_of_the_pinned_clock(
    run: Run, filled: None, paths: Paths
) -> None:
    shown = run("segment", "preview", "silent_buyers")
    assert shown.exit_code == 0, shown.output
    assert "silent_buyers: 2 of 3 people (66.7%); 2 would enter" in shown.output
    pin_as_of(paths, NOW + dt.timedelta(weeks=53))
    assert "silent_buyers: 0 of 3" in run("segment", "preview", "silent_buyers").output


def test_names_are_shown_only_when_asked_for(run: Run, filled: None) -> None:
    """They are personal data, and a terminal is logged."""
    assert "Example" not in run("segment", "preview", "silent_buyers").output
    shown = run("segment", "preview", "silent_buyers", "--show-values").output
    assert "ada  Ada Example" in shown


def test_the_overlap_names_both_counts(run: Run, filled: None) -> None:
    shown = run("segment", "overlap")
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines() == [
        "vip: 2 members",
        "         1 ( 50%)  worth_something",
        "worth_something: 2 members",
        "         1 ( 50%)  vip",
    ]


def test_without_members_there_is_no_overlap(run: Run, warehouse: Warehouse) -> None:
    with warehouse.writing("a test"):
        pass
    shown = run("segment", "overlap")
    assert (shown.exit_code, shown.output) == (0, "no segment has members yet\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("preview", "silent_buyer"), "did you mean 'silent_buyers'?"),
        (("preview", "none.yaml"), "there is no file none.yaml"),
        (("preview",), "Missing argument 'NAME|FILE'"),
        (("preview", "silent_buyers", "--sample", "many"), "'many' is not a valid"),
        (("preview", "cart_abandoners"), "cart_abandoners.yaml: condition: "),
        (("overlaps",), "No such command 'overlaps'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    run: Run, filled: None, arguments: tuple[str, ...], words: str
) -> None:
    shown = run("segment", *arguments)
    assert words in shown.output
    assert shown.exit_code in (1, 2)
    assert isinstance(shown.exception, SystemExit), shown.exception


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("conditon: true", "did you mean 'condition'?"),
        (
            "condition: lifetime_value.lifetime_valeu > 1",
            "'lifetime_valeu' (did you mean lifetime_value?)",
        ),
        ("condition: lifetime_value.lifetime_value", "is not a condition"),
        ("condition: segment.vip2", "vip.yaml: condition"),
        ("condition: now() > run.as_of", "now"),
        ("evaluate: hourly", "neither on_change nor a period"),
        ("name: Vip", "write it in lower case: vip"),
    ],
)
def test_a_faulty_file_names_field_and_remedy(
    run: Run, filled: None, tmp_path: Path, change: str, words: str
) -> None:
    key = change.split(":")[0]
    path = tmp_path / "vip.yaml"
    kept = [line for line in VIP.splitlines() if not line.startswith(f"{key}:")]
    path.write_text("\n".join([*kept, change]) + "\n")

    shown = run("segment", "preview", str(path))

    assert shown.exit_code == 1, shown.output
    assert words in shown.output
    assert "vip.yaml" in shown.output
    assert isinstance(shown.exception, SystemExit), shown.exception


@pytest.mark.parametrize("command", ["preview silent_buyers", "overlap"])
def test_before_a_first_run_it_says_what_to_do(
    run: Run, paths: Paths, command: str
) -> None:
    shown = run("segment", *command.split())
    assert shown.exit_code == 1
    assert "load something first" in shown.output
    assert not paths.warehouse.exists()


@pytest.mark.parametrize("command", ["preview silent_buyers", "overlap"])
def test_a_warehouse_of_an_earlier_version_is_named(
    run: Run, warehouse: Warehouse, command: str
) -> None:
    with warehouse.writing("a test") as connection:
        connection.execute("delete from ops.migration where version > 8")
    shown = run("segment", *command.split())
    assert shown.exit_code == 1
    assert "`cdp run` brings it up to date" in shown.output


def test_before_profiles_are_built_a_preview_says_so(
    run: Run, warehouse: Warehouse
) -> None:
    with warehouse.writing("a test"):
        pass
    shown = run("segment", "preview", "silent_buyers")
    assert shown.exit_code == 1
    assert "`make run`" in shown.output
