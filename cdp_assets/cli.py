"""``cdp``: a thin face over the stage packages.

Every command says what it did in a line or a table; what fails says what to do next.
"""

import contextlib
import datetime as dt
import json
import sys
import threading
from pathlib import Path

import click

from cdp_assets.activation_commands import activate_command
from cdp_assets.bench_command import bench_command
from cdp_assets.errors import OperatorError
from cdp_assets.identity_commands import identity_group
from cdp_assets.identity_judging import (
    evaluate_command,
    rulesets_command,
    train_command,
)
from cdp_assets.identity_questions import (
    history_command,
    what_if_command,
    why_command,
    why_not_command,
)
from cdp_assets.identity_review import (
    import_labels_command,
    label_command,
    review_command,
)
from cdp_assets.operations.commands import (
    backup_command,
    doctor_command,
    restore_command,
    status_command,
)
from cdp_assets.operators import quarantine_group
from cdp_assets.outbox_commands import outbox_group
from cdp_assets.paths import Paths
from cdp_assets.segment_commands import segment_group
from cdp_assets.stream_commands import stream_group
from cdp_assets.warehouse import Warehouse, refuse_outdated


class _Told(click.Group):
    """Prints what an operator can mend as one line; a traceback means a bug."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; exit 1 with the message of an error of our own."""
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Told, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """An open customer data platform, from the terminal."""


@main.command()
@click.option(
    "--people", default=2000, show_default=True, help="How many people, at least 100."
)
@click.option("--seed", default=1, show_default=True, help="Same seed, same bytes.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: data/samples.")
def sample(people: int, seed: int, out: Path | None) -> None:
    """Generate what six source systems would export, and the truth apart."""
    from cdp_assets.samples.generate import generate

    folder = out or Paths.from_environment().samples
    made = generate(folder, people=people, seed=seed, progress=click.echo)
    for stream, records in made.records.items():
        click.echo(f"{stream:<24}{records:>12,} records")
    click.echo(f"{people:,} people, seed {seed}, in {folder}")


@main.command()
@click.option(
    "--samples", is_flag=True, help="Use the samples if nothing was ever loaded."
)
@click.option(
    "--force",
    is_flag=True,
    help="Run every asset although nothing is new, and resolve all people.",
)
def run(samples: bool, force: bool) -> None:
    """Run the whole graph over what waits in the inbox, and print a summary."""
    from cdp_assets.terminal import run_and_report

    if not run_and_report(Paths.from_environment(), samples=samples, force=force):
        sys.exit(1)


@main.command()
@click.option("--port", default=3000, show_default=True)
def ui(port: int) -> None:
    """The graph in a browser, sensors and schedules on; Ctrl-C stops all of it."""
    from cdp_assets.defs.launch import settle_home
    from cdp_assets.ui import serve

    settle_home(Paths.from_environment())
    sys.exit(serve(port, lambda text: click.echo(text, err=True)))


@main.command()
def catalog() -> None:
    """Every stream as declared, beside what was really seen."""
    from cdp_assets.runs import pinned_as_of
    from cdp_assets.streams.catalog import catalogue
    from cdp_assets.streams.catalog_text import render
    from cdp_assets.streams.spec import load_streams

    paths = Paths.from_environment()
    specs = load_streams()
    if paths.warehouse.exists():
        with Warehouse(paths).reading() as connection:
            rows = catalogue(specs, connection, as_of=pinned_as_of(paths))
    else:
        rows = catalogue(specs)
    click.echo(render(rows))


@main.command()
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="The document itself.")
@click.option("--history", is_flag=True, help="What happened, in time order.")
def profile(key: str, as_json: bool, history: bool) -> None:
    """One person, by any e-mail, phone, record name, id or former id."""
    from cdp_assets.activation.outbox import Outbox
    from cdp_assets.publication.profile import find, render
    from cdp_assets.runs import pinned_as_of

    paths = Paths.from_environment()
    document = find(paths, key)
    if document is None:
        raise click.ClickException(
            "nobody has that key; try an e-mail, a phone with its country code, "
            "a record such as crm_contact:003…, or an id"
        )
    if history and "people" not in document:
        from cdp_assets.publication.store import store_path
        from cdp_assets.publication.trail import in_words, trail

        with Warehouse(paths).reading("a history") as connection:
            refuse_outdated(connection)
            person = document["unified_individual_id"]
            events = trail(connection, Outbox(paths.outbox), store_path(paths), person)
            click.echo(in_words(events))
    elif as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(render(document, pinned_as_of(paths)))


@main.command()
@click.argument("when", metavar="INSTANT|live")
def clock(when: str) -> None:
    """Pin the instant that runs take as now, or let it run (live)."""
    from cdp_assets.runs import parse_instant, pin_as_of

    instant: dt.datetime | None = None
    if when != "live":
        try:
            instant = parse_instant(when)
        except ValueError:
            raise click.ClickException(
                f"{when!r} is not an instant; write one like 2026-11-01T00:00:00"
            ) from None
    pin_as_of(Paths.from_environment(), instant)
    click.echo(f"runs take {instant or 'the time they start'} as now")


@main.command()
@click.option("--port", default=8087, show_default=True)
@click.option("--secret", envvar="CDP_CART_WEBHOOK_SECRET", help="whsec_…; else new.")
def receiver(port: int, secret: str | None) -> None:
    """Serve a webhook receiver that checks signatures and honours keys."""
    from cdp_assets.activation.receiver import receiving
    from cdp_assets.activation.signing import new_secret

    got = Paths.from_environment().outgoing / "received.ndjson"
    shared = secret or new_secret()
    with receiving(got, shared, port=port) as served:
        click.echo(f"export CDP_CART_WEBHOOK_URL={served.url}")
        if secret is None:
            click.echo(f"export CDP_CART_WEBHOOK_SECRET={shared}")
        click.echo(f"messages go to {got}; Ctrl-C ends it", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


main.add_command(stream_group)
main.add_command(segment_group)
for command in (
    why_command,
    why_not_command,
    history_command,
    what_if_command,
    review_command,
    label_command,
    import_labels_command,
    bench_command,
    evaluate_command,
    rulesets_command,
    train_command,
):
    identity_group.add_command(command)
main.add_command(identity_group)
main.add_command(why_command)
main.add_command(quarantine_group)
main.add_command(outbox_group)
main.add_command(activate_command)
main.add_command(backup_command)
main.add_command(restore_command)
main.add_command(status_command)
main.add_command(doctor_command)


if __name__ == "__main__":
    main()
