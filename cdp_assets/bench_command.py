"""``cdp identity bench``: a labelled file of one's own through the product's path."""

import tempfile
from pathlib import Path

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("bench")
@click.argument("records", type=_FILE)
@click.option("--truth", type=_FILE, required=True, help="source,record_id,entity_id")
@click.option(
    "--map", "map_file", type=_FILE, required=True, help="What the columns mean."
)
@click.option("--ruleset", type=_FILE, help="Default: the generic one, labelled.yaml.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="For clusters.csv, scores.csv and curve.csv.",
)
@click.option(
    "--misses", is_flag=True, help="Write misses.csv too: every wrong pair, and why."
)
def bench_command(
    records: Path,
    truth: Path,
    map_file: Path,
    ruleset: Path | None,
    out: Path | None,
    misses: bool,
) -> None:
    """How well RECORDS.csv is resolved, against a truth that only the score reads.

    The file is loaded, mapped and resolved as the product does it, in a scratch
    warehouse, by a model that is trained on it without labels.
    """
    from cdp_assets.identity.bench.report import render
    from cdp_assets.identity.bench.run import GENERIC, bench

    folder = out or Path(tempfile.mkdtemp(prefix="cdp-bench-out-"))
    result = bench(
        records,
        truth,
        map_file,
        ruleset=ruleset or GENERIC,
        out=folder,
        misses=misses,
        say=lambda text: click.echo(text, err=True),
    )
    for line in render(result):
        click.echo(line)
    click.echo(f"clusters: {folder / 'clusters.csv'}")
