"""``cdp outbox``: what an operator does about changes on their way to destinations."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from cdp_assets.declarations import nearest
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now

if TYPE_CHECKING:
    from cdp_assets.activation.outbox import Outbox

STATES = ("pending", "delivering", "delivered", "withheld", "dead", "dropped")
# More than a screen is not read one by one.
SHOWN = 200


@click.group("outbox")
def outbox_group() -> None:
    """Changes on their way to destinations."""


@outbox_group.command("list")
@click.option("--state", type=click.Choice(STATES), default="dead", show_default=True)
@click.option("--activation", default=None)
@click.option("--reason", default=None, help="Only those whose reason holds this text.")
@click.option("--limit", default=SHOWN, show_default=True)
def outbox_list(
    state: str, activation: str | None, reason: str | None, limit: int
) -> None:
    """How many changes stand in which state, and those of one state one by one.

    Also which destinations are left alone or paused, and until when.
    """
    from cdp_assets.activation.dead_letters import (
        count_states,
        list_changes,
        standings,
    )

    outbox = _outbox()
    counts = count_states(outbox, activation=activation)
    for name, its_state, changes in counts:
        click.echo(f"{name:<28}{its_state:<12}{changes:>10,}")
    if not counts:
        click.echo("the outbox is empty")
    for name, words in standings(outbox, utc_now(), activation=activation):
        click.echo(f"{name:<28}{words}")
    listed = list_changes(outbox, state=state, activation=activation, reason=reason)
    click.echo(f"\n{len(listed):,} {state}" + (":" if listed else ""))
    for change in listed[:limit]:
        click.echo(
            f"{change.sequence:>8}  {change.activation}  {change.operation}  "
            f"{change.unified_individual_id}  {change.reason or ''}"
        )
    if len(listed) > limit:
        click.echo(f"and {len(listed) - limit:,} more; --limit shows them")


@outbox_group.command("show")
@click.argument("sequence", type=int)
@click.option("--payload", is_flag=True, help="Also what was sent: personal data.")
def outbox_show(sequence: int, payload: bool) -> None:
    """One change with its attempts and receipts."""
    from cdp_assets.activation.showing import show

    found = show(_outbox(), sequence, payload=payload)
    click.echo(json.dumps(found, indent=2, default=str, ensure_ascii=False))


def _which(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command name dead letters by number, or by activation and reason."""
    for option in (
        click.option("--reason", default=None, help="All whose reason holds this."),
        click.option("--activation", default=None, help="All of this activation."),
        click.argument("sequences", type=int, nargs=-1),
    ):
        command = option(command)
    return command


@outbox_group.command("replay")
@_which
def outbox_replay(**which: Any) -> None:
    """Send dead letters again, with the next delivery."""
    from cdp_assets.activation.dead_letters import replay
    from cdp_assets.activation.destinations.template import known_by
    from cdp_assets.activation.identifiers import register_all
    from cdp_assets.activation.outbox import transaction
    from cdp_assets.data_actions.spec import load_senders

    with _outbox().connect() as connection, transaction(connection):
        senders = load_senders().items()
        register_all(
            connection, {name: known_by(one.destination) for name, one in senders}
        )
    done = replay(_outbox(), _chosen(**which), utc_now())
    click.echo(f"{len(done.replayed):,} will go out again")
    for sequence in done.overtaken:
        click.echo(
            f"{sequence} stays: a later change of that person or address went out"
        )
    _say_untouched(done.untouched)


@outbox_group.command("drop")
@_which
def outbox_drop(**which: Any) -> None:
    """Give up dead letters."""
    from cdp_assets.activation.dead_letters import drop

    done = drop(_outbox(), _chosen(**which))
    click.echo(f"{done.dropped:,} dropped")
    _say_untouched(done.untouched)


@outbox_group.command("pause")
@click.argument("activation", required=False)
def outbox_pause(activation: str | None) -> None:
    """Stop the deliveries of one activation, or all, from the next request on."""
    from cdp_assets.activation.pausing import EVERYTHING, pause

    if activation is not None:
        _declared(activation)
    with _outbox().connect() as connection:
        pause(connection, utc_now(), activation or EVERYTHING)
    name = f" {activation}" if activation else ""
    click.echo(f"nothing{' of' + name if name else ''} leaves until cdp outbox resume")


@outbox_group.command("resume")
@click.argument("activation", required=False)
def outbox_resume(activation: str | None) -> None:
    """Take back a pause; a destination that was left alone is tried again at once."""
    from cdp_assets.activation.breaker import close
    from cdp_assets.activation.pausing import EVERYTHING, resume

    if activation is not None:
        _declared(activation)
    with _outbox().connect() as connection:
        resume(connection, activation or EVERYTHING)
        if activation is not None:
            close(connection, activation)
    what = f"{activation} is" if activation else "what is not paused by itself is"
    click.echo(f"{what} tried again with the next delivery")


def _declared(activation: str) -> None:
    from cdp_assets.data_actions.spec import load_senders

    if activation not in (declared := load_senders()):
        raise click.ClickException(
            f"{activation!r} is no activation and no data action"
            f"{nearest(activation, declared)} "
            f"(declared are {', '.join(declared)})"
        )


def _chosen(
    sequences: tuple[int, ...], activation: str | None, reason: str | None
) -> tuple[int, ...]:
    """The dead letters that a command is about."""
    from cdp_assets.activation.dead_letters import list_changes

    if bool(sequences) == (activation is not None or reason is not None):
        raise click.UsageError(
            "name dead letters by number, or all of an --activation, or all with a "
            "--reason; cdp outbox list shows them"
        )
    if sequences:
        return sequences
    found = list_changes(_outbox(), activation=activation, reason=reason)
    return tuple(change.sequence for change in found)


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
