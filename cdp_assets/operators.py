"""``cdp quarantine`` and ``cdp outbox``: what an operator does about what is stuck."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from cdp_assets.declarations import nearest
from cdp_assets.paths import Paths
from cdp_assets.streams.landing import ask_for_wave
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse, utc_now

if TYPE_CHECKING:
    from cdp_assets.activation.outbox import Outbox

STATES = ("pending", "delivering", "delivered", "withheld", "dead", "dropped")


@click.group("quarantine")
def quarantine_group() -> None:
    """Rows that could not be loaded."""


@quarantine_group.command("list")
def quarantine_list() -> None:
    """How many records lie there, by stream, field and reason."""
    from cdp_assets.streams import quarantine

    with Warehouse(Paths.from_environment()).reading() as connection:
        found = quarantine.counts(connection)
    for count in found:
        click.echo(
            f"{count.records:>8,}  {count.stream}  {count.field or '-'}  {count.reason}"
        )
    if not found:
        click.echo("nothing is quarantined")


@quarantine_group.command("show")
@click.argument("stream")
@click.option("--limit", default=20, show_default=True)
def quarantine_show(stream: str, limit: int) -> None:
    """The records of one stream as they came, with file, line and field."""
    from cdp_assets.streams import quarantine

    spec = declared_stream(stream)
    with Warehouse(Paths.from_environment()).reading() as connection:
        for row in quarantine.records(connection, spec.name, limit=limit):
            click.echo(
                f"{row.file}:{row.line}  {row.field or '-'}: {row.reason}\n"
                f"    {row.record}"
            )


@quarantine_group.command("replay")
@click.argument("stream")
def quarantine_replay(stream: str) -> None:
    """Read a stream's records again, after its declaration was mended.

    Files that were unreadable as a whole are tried again by the next run.
    """
    from cdp_assets.streams import quarantine

    spec = declared_stream(stream)
    with _loaded().writing("a replay") as connection:
        done = quarantine.replay(connection, spec, started_at=utc_now())
        files = quarantine.readmit_files(connection, spec)
    ask_for_wave(Paths.from_environment())
    click.echo(
        f"{-done.quarantined:,} records left quarantine; "
        f"{files:,} unreadable files wait for the next run"
    )


@quarantine_group.command("drop")
@click.argument("stream")
@click.option("--field", default=None, help="Only those refused for this field.")
def quarantine_drop(stream: str, field: str | None) -> None:
    """Give up a stream's quarantined records for good."""
    from cdp_assets.streams import quarantine

    spec = declared_stream(stream)
    with _loaded().writing("a drop") as connection:
        done = quarantine.drop(connection, spec, started_at=utc_now(), field=field)
    click.echo(f"{-done.quarantined:,} records dropped")


@click.group("outbox")
def outbox_group() -> None:
    """Changes on their way to destinations."""


@outbox_group.command("list")
@click.option("--state", type=click.Choice(STATES), default="dead", show_default=True)
@click.option("--activation", default=None)
def outbox_list(state: str, activation: str | None) -> None:
    """How many changes stand in which state, and those of one state one by one."""
    from cdp_assets.activation.dead_letters import count_states, list_changes

    outbox = _outbox()
    counts = count_states(outbox, activation=activation)
    for name, its_state, changes in counts:
        click.echo(f"{name:<28}{its_state:<12}{changes:>10,}")
    if not counts:
        click.echo("the outbox is empty")
    listed = list_changes(outbox, state=state, activation=activation)
    click.echo(f"\n{len(listed):,} {state}" + (":" if listed else ""))
    for change in listed:
        click.echo(
            f"{change.sequence:>8}  {change.activation}  {change.operation}  "
            f"{change.unified_individual_id}  {change.reason or ''}"
        )


@outbox_group.command("show")
@click.argument("sequence", type=int)
@click.option("--payload", is_flag=True, help="Also what was sent: personal data.")
def outbox_show(sequence: int, payload: bool) -> None:
    """One change with its attempts and receipts."""
    from cdp_assets.activation.dead_letters import show

    found = show(_outbox(), sequence, payload=payload)
    click.echo(json.dumps(found, indent=2, default=str, ensure_ascii=False))


@outbox_group.command("replay")
@click.argument("sequences", type=int, nargs=-1, required=True)
def outbox_replay(sequences: tuple[int, ...]) -> None:
    """Send dead letters again, with the next delivery."""
    from cdp_assets.activation.dead_letters import replay

    done = replay(_outbox(), sequences, utc_now())
    click.echo(f"{len(done.replayed)} will go out again")
    for sequence in done.overtaken:
        click.echo(f"{sequence} stays: a later change of that person went out already")
    _say_untouched(done.untouched)


@outbox_group.command("drop")
@click.argument("sequences", type=int, nargs=-1, required=True)
def outbox_drop(sequences: tuple[int, ...]) -> None:
    """Give up dead letters."""
    from cdp_assets.activation.dead_letters import drop

    done = drop(_outbox(), sequences)
    click.echo(f"{done.dropped} dropped")
    _say_untouched(done.untouched)


@outbox_group.command("resume")
@click.argument("activation")
def outbox_resume(activation: str) -> None:
    """End the pause that an unavailable destination was given."""
    from cdp_assets.activation.pausing import resume
    from cdp_assets.activation.spec import load_activations

    if activation not in (declared := load_activations()):
        raise click.ClickException(
            f"{activation!r} is no activation{nearest(activation, declared)} "
            f"(declared are {', '.join(declared)})"
        )
    with _outbox().connect() as connection:
        resume(connection, activation)
    click.echo(f"{activation} is tried again with the next delivery")


def _outbox() -> "Outbox":
    """The outbox; none is made where nothing was ever planned."""
    from cdp_assets.activation.outbox import Outbox

    path = Paths.from_environment().outbox
    if not path.exists():
        raise click.ClickException("nothing was planned yet: run `cdp run` first")
    return Outbox(path)


def _say_untouched(untouched: Mapping[int, str]) -> None:
    for sequence, state in untouched.items():
        click.echo(f"{sequence} stays: it is {state}, not dead")


def _loaded() -> Warehouse:
    """The warehouse to write to; none is made where nothing was ever loaded."""
    warehouse = Warehouse(Paths.from_environment())
    warehouse.must_exist()
    return warehouse


def declared_stream(name: str) -> StreamSpec:
    """The stream of this name; a mistyped one is told those there are."""
    declared = load_streams()
    if name not in declared:
        raise click.ClickException(
            f"{name!r} is no stream{nearest(name, declared)} "
            f"(declared are {', '.join(declared)})"
        )
    return declared[name]
