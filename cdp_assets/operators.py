"""``cdp quarantine``: what an operator does about records that could not be loaded."""

import click

from cdp_assets.declarations import nearest
from cdp_assets.paths import Paths
from cdp_assets.streams.landing import ask_for_wave
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse, utc_now


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
