"""Commands at a terminal: what an operator can mend is one line, and exits with 1."""

from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from cdp_assets import cli
from cdp_assets.activation.outbox import Outbox
from cdp_assets.declarations import DeclarationError
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse

Run = Callable[..., click.testing.Result]


@pytest.fixture
def run(paths: Paths) -> Run:
    """Runs one command over a runtime folder of the test's own."""

    def command(*arguments: str) -> click.testing.Result:
        environment = {"CDP_DATA": str(paths.root)}
        return click.testing.CliRunner().invoke(cli.main, arguments, env=environment)

    return command


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("catalog --nonsense", "No such option"),
        ("profile nobody@example.com", "publish first, for instance with `make run`"),
        ("why a:1 b:2", "load something first"),
        ("identity why-not a:1 b:2", "load something first"),
        ("identity same a:1 b:2 --why x", "load something first"),
        ("identity same a:1 b:2", "Missing option '--why'"),
        ("identity undo 1 --why x", "load something first"),
        ("identity release --why x", "load something first"),
        ("identity review", "load something first"),
        ("identity train", "load something first"),
        ("identity train --least-records 1", "1 is not in the range x>=2"),
        ("identity label a:1 b:2 perhaps", "'perhaps' is not one of 'same'"),
        ("identity history a:1", "load something first"),
        ("quarantine list", "load something first"),
        ("quarantine show crm_contact", "load something first"),
        ("quarantine show crm_contakt", "did you mean 'crm_contact'?"),
        ("quarantine replay crm_contact", "load something first"),
        ("quarantine drop crm_contact", "load something first"),
        ("activate cart_abandoners --dry-run", "load something first"),
        ("activate cart_abandoners --release", "load something first"),
        ("outbox list", "nothing was planned yet"),
        ("outbox list --state lost", "'lost' is not one of 'pending'"),
        ("outbox show 999999", "nothing was planned yet"),
        ("outbox resume cart_abandoner", "did you mean 'cart_abandoners'?"),
        ("sample --people 50", "ask for at least 100"),
        ("clock tomorrow", "2026-11-01T00:00:00"),
    ],
)
def test_before_a_first_run_every_command_says_what_to_do(
    run: Run, paths: Paths, command: str, words: str
) -> None:
    """And makes nothing: an empty warehouse would pass for one that was loaded."""
    result = run(*command.split())
    assert words in result.output
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit), result.exception
    assert not paths.warehouse.exists()
    assert not paths.outbox.exists()


def test_a_change_that_does_not_exist_is_named(run: Run, paths: Paths) -> None:
    with Outbox(paths.outbox).connect():
        pass
    for command in ("show", "replay", "drop"):
        result = run("outbox", command, "999999")
        assert result.exit_code == 1
        assert "the outbox has no change 999999; it is empty" in result.output
    assert "the outbox is empty" in run("outbox", "list").output


def test_a_clock_that_holds_no_instant_says_how_to_mend_it(
    run: Run, paths: Paths, warehouse
) -> None:
    with warehouse.writing("a test"):
        pass
    paths.pinned_as_of.write_text("yesterday")
    result = run("catalog")
    assert result.exit_code == 1
    assert "`cdp clock live`" in result.output


def test_a_faulty_declaration_is_one_line_in_any_command(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DeclarationError("crm_thing.yaml: line 3: catgory: unknown key")

    monkeypatch.setattr("cdp_assets.streams.spec.load_streams", refuse)
    result = run("catalog")
    assert result.output == "Error: crm_thing.yaml: line 3: catgory: unknown key\n"
    assert result.exit_code == 1


def test_a_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of a bug is too little to mend it by."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cdp_assets.streams.spec.load_streams", fail)
    assert isinstance(run("catalog").exception, ZeroDivisionError)


def test_the_help_names_the_fewest_people(run: Run, tmp_path: Path) -> None:
    from cdp_assets.samples.generate import FEWEST_PEOPLE

    assert f"at least {FEWEST_PEOPLE}" in run("sample", "--help").output


def test_a_warehouse_of_an_earlier_version_is_named_before_it_is_read(
    run: Run, paths: Paths
) -> None:
    with Warehouse(paths).writing("a test") as connection:
        connection.execute("delete from ops.migration where version > 8")
    result = run("identity", "decisions")
    assert "`cdp run` brings it up to date" in result.output
    assert result.exit_code == 1
