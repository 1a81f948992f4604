"""``cdp identity``: who is who, put right by people."""

import contextlib
import getpass
from collections.abc import Callable, Iterator
from typing import Any

import click
import duckdb

from cdp_assets.paths import Paths
from cdp_assets.streams.landing import ask_for_wave
from cdp_assets.warehouse import Warehouse, refuse_outdated, utc_now

NEXT = "takes effect with the next run: `cdp run`, or by itself under `make ui`"


@click.group("identity")
def identity_group() -> None:
    """Who is who: explain it, try it out, put it right."""


def loaded() -> Warehouse:
    """The warehouse to write to; none is made where nothing was ever loaded."""
    warehouse = Warehouse(Paths.from_environment())
    warehouse.must_exist()
    return warehouse


@contextlib.contextmanager
def reading() -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse to read, if this version has written it."""
    with loaded().reading() as connection:
        refuse_outdated(connection)
        yield connection


def told_why(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say why, and who says so."""
    command = click.option(
        "--by",
        default=getpass.getuser,
        help="Who decides; default: the operating system's user.",
    )(command)
    return click.option("--why", required=True, help="The reason, for whoever asks.")(
        command
    )


@identity_group.command("same")
@click.argument("record_a")
@click.argument("record_b")
@told_why
def same(record_a: str, record_b: str, why: str, by: str) -> None:
    """Two records are one person.

    Whatever rules, scores and facts say, and whatever model comes.
    """
    _decide("same", record_a, record_b, why, by)


@identity_group.command("different")
@click.argument("record_a")
@click.argument("record_b")
@told_why
def different(record_a: str, record_b: str, why: str, by: str) -> None:
    """Two records are two people.

    Through whatever chain of others they hang together.
    """
    _decide("different", record_a, record_b, why, by)


@identity_group.command("split")
@click.argument("person")
@click.argument("records", nargs=-1)
@told_why
def split_command(person: str, records: tuple[str, ...], why: str, by: str) -> None:
    """Part records from the rest of a person.

    PERSON is an id, or any record of the person; without RECORDS, all are parted.
    """
    from cdp_assets.identity.decisions import Author, split

    with loaded().writing("a split") as connection:
        author = Author(by, utc_now(), why)
        given = split(connection, person, records, author)
    ask_for_wave(Paths.from_environment())
    click.echo(
        f"decision {given.number}: {len(given.pairs)} pairs of records are different; "
        f"{NEXT}"
    )


@identity_group.command("undo")
@click.argument("number", type=int)
@click.option("--plan", is_flag=True, help="Only show what destinations would be sent.")
@click.option("--show-values", is_flag=True, help="With --plan: also personal data.")
@click.option("--by", default=getpass.getuser, help="Who decides; default: the user.")
@click.option("--why", help="The reason, for whoever asks; needed but with --plan.")
def undo_command(
    number: int, plan: bool, show_values: bool, by: str, why: str | None
) -> None:
    """Take back what one command decided; a split as a whole.

    With --plan nothing is written: it is tried in a copy, and what the next run would
    send to put destinations right is shown.
    """
    from cdp_assets.identity.decisions import Author, undo

    if plan:
        _show_undo(number, show_values)
        return
    if not why:
        raise click.UsageError("give the reason: --why TEXT")
    with loaded().writing("undoing a decision") as connection:
        lifted = undo(connection, number, Author(by, utc_now(), why))
    ask_for_wave(Paths.from_environment())
    for decision in lifted[:5]:
        click.echo(f"undone: {decision}")
    if len(lifted) > 5:
        click.echo(f"and {len(lifted) - 5} more of the same command")
    click.echo(NEXT)


@identity_group.command("decisions")
@click.option("--all", "everything", is_flag=True, help="Also those undone.")
def decisions_command(everything: bool) -> None:
    """What was decided, by whom and why, since when."""
    from cdp_assets.identity.decided import contradicting
    from cdp_assets.identity.decision_listing import commands

    with reading() as connection:
        given = commands(connection)
        denied = contradicting(connection)
    shown = [each for each in given if everything or "undone" not in each.state]
    for each in shown:
        click.echo(each)
    if not shown:
        click.echo("nothing is decided")
    for contradiction in denied:
        click.echo(f"contradiction, which holds every run: {contradiction}")


@identity_group.command("release")
@click.argument("run", type=int, required=False)
@click.option("--ruleset", help="Of a ruleset beside the published one.")
@told_why
def release_command(run: int | None, ruleset: str | None, why: str, by: str) -> None:
    """Publish a held run in spite of its gates, once.

    RUN is the one held, the last, and may be left out.
    """
    from cdp_assets.identity.release import release
    from cdp_assets.rulesets.resolving import known

    paths = Paths.from_environment()
    place = Warehouse(known(paths, ruleset)) if ruleset else loaded()
    with place.writing("a release") as connection:
        released = release(connection, run=run, by=by, at=utc_now(), why=why)
    if not ruleset:
        ask_for_wave(paths)
    for gate in released:
        click.echo(
            f"run {gate.run}, {gate.object}: {gate.gate} may be {gate.found:g}, above "
            f"the limit {gate.most:g}, once"
        )
    click.echo(NEXT if not ruleset else f"then: `cdp identity rulesets {ruleset}`")


def _show_undo(number: int, show_values: bool) -> None:
    from cdp_assets.what_if.undo_text import in_words
    from cdp_assets.what_if.undoing import rehearse_undo

    outlook = rehearse_undo(
        Paths.from_environment(),
        number,
        say=lambda text: click.echo(f"{text} …", err=True),
    )
    click.echo(in_words(outlook, show_values=show_values))


def _decide(kind: Any, record_a: str, record_b: str, why: str, by: str) -> None:
    from cdp_assets.identity.decisions import Author, decide

    with loaded().writing("a decision") as connection:
        author = Author(by, utc_now(), why)
        given = decide(connection, kind, [(record_a, record_b)], author, command=kind)
    if given.dormant:
        click.echo(
            f"decision {given.number}: dormant, there is no "
            f"{', no '.join(given.dormant)} now; it holds once there is"
        )
        return
    ask_for_wave(Paths.from_environment())
    click.echo(f"decision {given.number}: {record_a} {kind} {record_b}; {NEXT}")
