"""``cdp``: a thin face over the stage packages.

Every command says what it did in a line or a table; what fails says what to do next.
"""

import datetime as dt
import json
import sys
from pathlib import Path

import click

from cdp_assets.paths import Paths
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import Warehouse


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """An open customer data platform, from the terminal."""


@main.command()
@click.option("--people", default=2000, show_default=True, help="How many people.")
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
@click.option("--force", is_flag=True, help="Run every asset although nothing is new.")
def run(samples: bool, force: bool) -> None:
    """Run the whole graph over what waits in the inbox, and print a summary."""
    from cdp_assets.terminal import run_and_report

    if not run_and_report(Paths.from_environment(), samples=samples, force=force):
        sys.exit(1)


@main.command()
def catalog() -> None:
    """Every stream as declared, beside what was really seen."""
    from cdp_assets.streams.catalog import catalogue, render
    from cdp_assets.streams.spec import load_streams

    paths = Paths.from_environment()
    if paths.warehouse.exists():
        with Warehouse(paths).reading() as connection:
            rows = catalogue(load_streams(), connection)
    else:
        rows = catalogue(load_streams(), None)
    click.echo(render(rows))


@main.command()
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="The document itself.")
def profile(key: str, as_json: bool) -> None:
    """One person, by any e-mail, phone, record name, id or former id."""
    from cdp_assets.publication.profile import find, render
    from cdp_assets.runs import pinned_as_of

    paths = Paths.from_environment()
    document = find(paths, key)
    if document is None:
        raise click.ClickException(
            "nobody has that key; try an e-mail, a phone with its country code, "
            "a record such as crm_contact:003…, or an id"
        )
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(render(document, pinned_as_of(paths)))


@main.command()
@click.argument("record_a")
@click.argument("record_b")
def why(record_a: str, record_b: str) -> None:
    """Why two records are, or are not, the same person."""
    from cdp_assets.identity.explain import why as explain

    with Warehouse(Paths.from_environment()).reading() as connection:
        click.echo(explain(connection, record_a, record_b))


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


@main.group("quarantine")
def quarantine_group() -> None:
    """Rows that could not be loaded."""


@quarantine_group.command("list")
def quarantine_list() -> None:
    """How many rows wait, by stream, field and reason."""
    from cdp_assets.streams import quarantine

    with Warehouse(Paths.from_environment()).reading() as connection:
        for count in quarantine.counts(connection):
            click.echo(
                f"{count.rows:>8,}  {count.stream}  {count.field or '-'}  "
                f"{count.reason}"
            )


@quarantine_group.command("show")
@click.argument("stream")
@click.option("--limit", default=20, show_default=True)
def quarantine_show(stream: str, limit: int) -> None:
    """The waiting rows of one stream, with file, line and field."""
    from cdp_assets.streams import quarantine

    with Warehouse(Paths.from_environment()).reading() as connection:
        for row in quarantine.show(connection, stream, limit=limit):
            click.echo(
                f"{row.file}:{row.line}  {row.field or '-'}: {row.reason}\n"
                f"    {row.record}"
            )


@quarantine_group.command("replay")
@click.argument("stream")
def quarantine_replay(stream: str) -> None:
    """Load a stream's waiting rows again, after its declaration was mended."""
    from cdp_assets.streams import quarantine
    from cdp_assets.streams.spec import load_streams

    spec = _known(load_streams(), stream)
    with Warehouse(Paths.from_environment()).writing("a replay") as connection:
        click.echo(quarantine.replay(connection, spec))


@quarantine_group.command("drop")
@click.argument("stream")
def quarantine_drop(stream: str) -> None:
    """Give up a stream's waiting rows."""
    from cdp_assets.streams import quarantine

    with Warehouse(Paths.from_environment()).writing("a drop") as connection:
        click.echo(f"{quarantine.drop(connection, stream):,} rows dropped")


@main.group("outbox")
def outbox_group() -> None:
    """Changes on their way to destinations."""


@outbox_group.command("list")
@click.option("--state", default="dead", show_default=True)
@click.option("--activation", default=None)
def outbox_list(state: str, activation: str | None) -> None:
    """Changes in one state: pending, delivered, withheld or dead."""
    from cdp_assets.activation.dead_letters import list_changes
    from cdp_assets.activation.outbox import Outbox

    outbox = Outbox(Paths.from_environment().outbox)
    for change in list_changes(outbox, state=state, activation=activation):
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
    from cdp_assets.activation.outbox import Outbox

    found = show(Outbox(Paths.from_environment().outbox), sequence, payload=payload)
    click.echo(json.dumps(found, indent=2, default=str, ensure_ascii=False))


@outbox_group.command("replay")
@click.argument("sequences", type=int, nargs=-1, required=True)
def outbox_replay(sequences: tuple[int, ...]) -> None:
    """Send dead letters again, with the next delivery."""
    from cdp_assets.activation.dead_letters import replay
    from cdp_assets.activation.outbox import Outbox
    from cdp_assets.warehouse import utc_now

    outbox = Outbox(Paths.from_environment().outbox)
    done = replay(outbox, sequences, utc_now())
    click.echo(f"{len(done.replayed)} will go out again")
    for sequence in done.overtaken:
        click.echo(f"{sequence} stays: a later change of that person went out already")


@outbox_group.command("drop")
@click.argument("sequences", type=int, nargs=-1, required=True)
def outbox_drop(sequences: tuple[int, ...]) -> None:
    """Give up dead letters."""
    from cdp_assets.activation.dead_letters import drop
    from cdp_assets.activation.outbox import Outbox

    outbox = Outbox(Paths.from_environment().outbox)
    click.echo(f"{drop(outbox, sequences)} dropped")


def _known(declared: dict[str, StreamSpec], name: str) -> StreamSpec:
    if name not in declared:
        raise click.ClickException(
            f"{name!r} is not declared; declared are {', '.join(declared)}"
        )
    return declared[name]


if __name__ == "__main__":
    main()
