"""``cdp identity why | why-not | history | what-if``: how who is who comes about."""

from pathlib import Path

import click

from cdp_assets.identity_commands import reading
from cdp_assets.paths import Paths


@click.command("why")
@click.argument("record_a")
@click.argument("record_b")
@click.option(
    "--html",
    "page_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also as one page, which needs nothing from elsewhere.",
)
def why_command(record_a: str, record_b: str, page_file: Path | None) -> None:
    """Why two records are, or are not, the same person."""
    from cdp_assets.identity.explain import explain
    from cdp_assets.identity.explain_html import page
    from cdp_assets.identity.explain_text import in_words

    with reading() as connection:
        found = explain(connection, record_a, record_b)
    click.echo(in_words(found))
    if page_file is not None:
        page_file.write_text(page(found), encoding="utf-8")
        click.echo(f"\nwritten to {page_file}", err=True)


@click.command("why-not")
@click.argument("record_a")
@click.argument("record_b")
def why_not_command(record_a: str, record_b: str) -> None:
    """What would have made two records one person, and did not."""
    from cdp_assets.identity.why_not import why_not
    from cdp_assets.identity.why_not_text import in_words

    with reading() as connection:
        click.echo(in_words(why_not(connection, record_a, record_b)))


@click.command("history")
@click.argument("key", metavar="PERSON|RECORD")
@click.option("--as-of", "run", type=int, help="Where an id led after this run.")
def history_command(key: str, run: int | None) -> None:
    """Every merge, split and deletion of a person or record.

    PERSON is an id, living or retired.
    """
    from cdp_assets.identity.history_text import as_of, history

    with reading() as connection:
        told = history(connection, key) if run is None else as_of(connection, key, run)
    click.echo(told)


@click.command("what-if")
@click.argument(
    "file",
    metavar="RULESET|MODEL",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--examples", default=5, show_default=True, help="Of each kind.")
@click.option("--people-only", is_flag=True, help="Without profiles and what follows.")
def what_if_command(file: Path, examples: int, people_only: bool) -> None:
    """What a ruleset or a model would change.

    A ruleset is YAML, a model JSON as training writes it. Nothing is published: they
    are tried in a copy of the warehouse, which takes as much disk again for the time.
    """
    from cdp_assets.what_if.rehearsal import read_trial, rehearse
    from cdp_assets.what_if.text import in_words

    outlook = rehearse(
        Paths.from_environment(),
        read_trial(file),
        name=file.name,
        examples=examples,
        people_only=people_only,
        say=lambda text: click.echo(f"{text} …", err=True),
    )
    click.echo(in_words(outlook))
