"""``cdp identity bench``: a labelled file of one's own through the product's path."""

import sys
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
@click.option(
    "--then",
    "later",
    type=(_FILE, _FILE),
    multiple=True,
    metavar="RECORDS TRUTH",
    help="Load this file on top, and compare with the truth that is true then.",
)
@click.option(
    "--retrain", is_flag=True, help="Train anew after each --then; else only at first."
)
def bench_command(
    records: Path,
    truth: Path,
    map_file: Path,
    ruleset: Path | None,
    out: Path | None,
    misses: bool,
    later: tuple[tuple[Path, Path], ...],
    retrain: bool,
) -> None:
    """How well RECORDS.csv is resolved, against a truth that only the score reads.

    The file is loaded, mapped and resolved as the product does it, in a scratch
    warehouse, by a model that is trained on it without labels.
    """
    from cdp_assets.identity.bench.in_turn import Load, bench_in_turn
    from cdp_assets.identity.bench.report import render, render_in_turn
    from cdp_assets.identity.bench.run import GENERIC, bench

    folder = out or Path(tempfile.mkdtemp(prefix="cdp-bench-out-"))

    def say(text: str) -> None:
        click.echo(text, err=True)

    if later:
        found = bench_in_turn(
            [Load(records, truth), *(Load(*each) for each in later)],
            map_file,
            ruleset=ruleset or GENERIC,
            out=folder,
            retrain=retrain,
            misses=misses,
            say=say,
        )
        for line in render_in_turn(found):
            click.echo(line)
        click.echo(f"a folder per load: {folder}")
        sys.exit(1 if found.differing else 0)
    result = bench(
        records,
        truth,
        map_file,
        ruleset=ruleset or GENERIC,
        out=folder,
        misses=misses,
        say=say,
    )
    for line in render(result):
        click.echo(line)
    click.echo(f"clusters: {folder / 'clusters.csv'}")
