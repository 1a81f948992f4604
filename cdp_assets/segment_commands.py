"""``cdp segment``: look at a segment before it is published, and at what they share."""

from pathlib import Path

import click
import duckdb

from cdp_assets.declarations import nearest, read_declaration
from cdp_assets.paths import Paths
from cdp_assets.segments.namespace import PROFILE
from cdp_assets.segments.spec import SegmentSpec, check, load_segments
from cdp_assets.warehouse import Warehouse, refuse_outdated, utc_now


@click.group("segment")
def segment_group() -> None:
    """Segments: who would be in, and who is in several."""


@segment_group.command("preview")
@click.argument("name", metavar="NAME|FILE")
@click.option("--sample", default=5, show_default=True, help="Members named.")
@click.option("--show-values", is_flag=True, help="Also their names: personal data.")
def preview_command(name: str, sample: int, show_values: bool) -> None:
    """What publishing a segment, declared or in a YAML file, would do now."""
    from cdp_assets.runs import pinned_as_of
    from cdp_assets.segments.preview import known_columns, preview

    spec = _spec(name)
    paths = Paths.from_environment()
    with Warehouse(paths).reading() as connection:
        refuse_outdated(connection)
        columns = known_columns(connection)
        if PROFILE not in columns:
            raise click.ClickException(
                "no profiles are built yet: build them first, for instance with "
                "`make run`"
            )
        check(spec, columns, load_segments())
        found = preview(
            connection, spec, pinned_as_of(paths) or utc_now(), sample=sample
        )
        names = _names(connection, found.sample) if show_values else {}
    share = found.members / found.people if found.people else 0
    click.echo(
        f"{spec.name}: {found.members:,} of {found.people:,} people ({share:.1%}); "
        f"{found.entering:,} would enter, {found.leaving:,} leave"
    )
    click.echo(f"{'alone':>10}{'without it':>12}  part of the condition")
    for part in found.parts:
        click.echo(f"{part.alone:>10,}{part.without:>12,}  {part.sql}")
    for person in found.sample:
        click.echo(f"{person}  {names.get(person, '')}".rstrip())


@segment_group.command("overlap")
def overlap_command() -> None:
    """How many people every two segments share, and which share of the first."""
    from cdp_assets.segments.overlap import overlap

    with Warehouse(Paths.from_environment()).reading() as connection:
        refuse_outdated(connection)
        matrix = overlap(connection)
    if not matrix:
        click.echo("no segment has members yet")
    for name, row in matrix.items():
        click.echo(f"{name}: {row[name]:,} members")
        for other, people in row.items():
            if other != name:
                click.echo(f"{people:>10,} ({people / row[name]:>4.0%})  {other}")


def _spec(name: str) -> SegmentSpec:
    """The declared segment of this name, or the one in a file."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.exists():
            raise click.ClickException(f"there is no file {name}")
        return read_declaration(path, SegmentSpec)
    declared = load_segments()
    if name not in declared:
        raise click.ClickException(
            f"{name!r} is no segment{nearest(name, declared)} "
            f"(declared are {', '.join(declared)})"
        )
    return declared[name]


def _names(connection: duckdb.DuckDBPyConnection, people: list[str]) -> dict[str, str]:
    return dict(
        connection.execute(
            "select unified_individual_id, person_name from unified.unified_individual "
            "where list_contains($people, unified_individual_id)",
            {"people": people},
        ).fetchall()
    )
