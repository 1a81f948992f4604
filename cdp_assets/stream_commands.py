"""``cdp stream``: how streams stand; folding, compacting, expiring their files."""

import datetime as dt
from pathlib import Path

import click

from cdp_assets import last_run
from cdp_assets.operators import declared_stream
from cdp_assets.paths import PROJECT, Paths
from cdp_assets.runs import pinned_as_of
from cdp_assets.streams.landing import ask_for_wave
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse, utc_now


@click.group("stream")
def stream_group() -> None:
    """Data streams: their files, and what became of them."""


@stream_group.command("status")
@click.argument("streams", nargs=-1)
def stream_status(streams: tuple[str, ...]) -> None:
    """What waits, was loaded and refused, and how fresh it is."""
    from cdp_assets.streams.standing import standings

    paths = Paths.from_environment()
    as_of = pinned_as_of(paths) or utc_now()
    with Warehouse(paths).reading() as connection:
        found = standings(connection, paths, _chosen(streams), as_of=as_of)
    click.echo(
        f"{'stream':<24}{'waiting':>9}{'MB':>8}{'next':>7}{'live records':>15}"
        f"{'quarantined':>13}{'held':>6}{'unreadable':>12}  newest"
    )
    for each in found:
        newest = f"{each.newest_at:%Y-%m-%d %H:%M}" if each.newest_at else "nothing yet"
        newest += ", stale" if each.is_stale else ""
        click.echo(
            f"{each.stream:<24}{each.waiting_files:>9,}"
            f"{each.waiting_bytes / 1e6:>8,.1f}{each.next_wave_files:>7,}"
            f"{each.live_records:>15,}{each.quarantined:>13,}{each.held_files:>6,}"
            f"{each.unreadable_files:>12,}  {newest}"
        )


@stream_group.command("new")
@click.argument("name")
@click.option(
    "--from",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file as the source sends it: csv, json, ndjson or parquet.",
)
@click.option(
    "--category",
    type=click.Choice(["profile", "engagement", "other"]),
    default="profile",
    show_default=True,
    help="Things that change; events that happened once; neither.",
)
@click.option(
    "--dmo", default="individual", show_default=True, help="What to draft a mapping to."
)
def stream_new(name: str, file: Path, category: str, dmo: str) -> None:
    """Draft a stream from one of its files: declaration, dbt source, mapping."""
    from cdp_assets.streams.guessing import guess
    from cdp_assets.streams.skeleton import Draft

    guessed = guess(file)
    for path in Draft().write(name, guessed, category, dmo):
        click.echo(f"wrote {path.relative_to(PROJECT)}")
    click.echo(
        f"{guessed.rows:,} rows, {len(guessed.fields)} fields. Next: correct what the "
        f"declaration calls a guess; name the source's columns in {name}__{dmo}.sql; "
        f"add '{name}__{dmo}' to the list in dbt_project/models/dmo/{dmo}.sql; drop "
        f"the file in data/inbox/{name}/ and run `cdp run`."
    )


@stream_group.command("backfill")
@click.argument("stream")
@click.option(
    "--from",
    "since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Only files that arrived on this day (UTC) or later.",
)
def stream_backfill(stream: str, since: dt.datetime | None) -> None:
    """Fold a stream's kept files again, as it is declared now."""
    from cdp_assets.streams.rebuild import backfill

    spec, paths = declared_stream(stream), Paths.from_environment()
    done = backfill(Warehouse(paths), spec, since=since.date() if since else None)
    _ask(paths)
    click.echo(
        f"{done.notes[0]}: {done.inserted:,} records came in, {done.updated:,} changed,"
        f" {done.deleted:,} were deleted, {done.unchanged:,} stayed; "
        f"{done.quarantined:+,} quarantined. `cdp run` brings the rest up to date."
    )


@stream_group.command("release")
@click.argument("stream")
def stream_release(stream: str) -> None:
    """Apply a full extract that was held because it would delete too much."""
    from cdp_assets.streams.absence import release

    spec, paths = declared_stream(stream), Paths.from_environment()
    with Warehouse(paths).writing(f"release of {spec.name}") as connection:
        released = release(connection, spec)
    if released is None:
        raise click.ClickException(f"no extract of {spec.name} is held")
    _ask(paths)
    click.echo(f"{released.file} will be applied by the next load: {released.reason}")


@stream_group.command("reset")
@click.argument("stream")
@click.confirmation_option(
    prompt="Forget the stream's table and ledger, and load all kept files again? "
    "Records that no file holds any longer will be deleted."
)
def stream_reset(stream: str) -> None:
    """Forget a stream's table and load its kept files from nothing."""
    from cdp_assets.streams.rebuild import reset

    spec, paths = declared_stream(stream), Paths.from_environment()
    done = reset(Warehouse(paths), spec)
    _ask(paths)
    click.echo(
        f"{done.inserted:,} records loaded, {done.deleted:,} tombstones. "
        "`cdp run` brings the rest up to date."
    )


@stream_group.command("compact")
@click.argument("streams", nargs=-1)
def stream_compact(streams: tuple[str, ...]) -> None:
    """Rewrite loaded files into one Parquet file per stream and day."""
    from cdp_assets.streams.compaction import compact

    paths = Paths.from_environment()
    any_done = False
    for spec in _chosen(streams):
        with Warehouse(paths).writing(f"compacting {spec.name}") as connection:
            done = compact(connection, paths, spec)
        if done.files or done.left:
            any_done = True
            click.echo(
                f"{spec.name}: {done.files:,} files, {done.bytes_before / 1e6:,.1f} MB,"
                f" are {done.into:,} of {done.bytes_after / 1e6:,.1f} MB; "
                f"{done.left:,} left as they are"
            )
    if not any_done:
        click.echo("nothing to compact: no loaded file stands by itself")


@stream_group.command("expire")
@click.argument("streams", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def stream_expire(streams: tuple[str, ...], dry_run: bool) -> None:
    """Delete files and events older than their stream keeps them."""
    from cdp_assets.streams.expiry import expire

    paths = Paths.from_environment()
    as_of = pinned_as_of(paths) or utc_now()
    expired = 0
    for spec in _chosen(streams):
        with Warehouse(paths).writing(f"expiring {spec.name}") as connection:
            done = expire(connection, paths, spec, as_of=as_of, dry_run=dry_run)
        expired += done.files + done.rows
        if done.files or done.rows:
            click.echo(
                f"{spec.name}: {done.files:,} files ({done.bytes / 1e6:,.1f} MB) and "
                f"{done.rows:,} events older than {spec.retention_days:,} days"
                f"{' would go' if dry_run else ' are gone'}"
            )
    if expired and not dry_run:
        _ask(paths)
    elif not expired:
        click.echo("nothing is older than its stream keeps it")


def _chosen(streams: tuple[str, ...]) -> list[StreamSpec]:
    if streams:
        return [declared_stream(name) for name in streams]
    return list(load_streams().values())


def _ask(paths: Paths) -> None:
    """Have everything that follows from a changed table made anew."""
    last_run.forget(paths)
    ask_for_wave(paths)
