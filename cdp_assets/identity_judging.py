"""``cdp identity evaluate | rulesets | train``: how good people are, and others."""

from pathlib import Path

import click

from cdp_assets.identity_commands import loaded, reading
from cdp_assets.paths import Paths
from cdp_assets.warehouse import utc_now


@click.command("evaluate")
def evaluate_command() -> None:
    """How good the published people are, with intervals of 95 %.

    Against the samples' truth where it is there, on labels, and per source.
    """
    from cdp_assets.identity.judging.judgement import judge
    from cdp_assets.identity.judging.report import sections
    from cdp_assets.identity.rules import read_ruleset

    truth = Paths.from_environment().samples / "truth.csv"
    with reading() as connection:
        found = judge(connection, read_ruleset(), truth)
    click.echo(
        f"{found.totals.records:,} records are {found.totals.people:,} people, the "
        f"largest of {found.totals.largest}; {found.totals.unmatched:.1%} are alone"
    )
    for title, text in sections(found).items():
        click.echo(f"\n{title}\n\n{text}")
    if found.answers:
        click.echo(
            f"\non labels: precision {found.on_labels.precision}, recall "
            f"{found.on_labels.recall}"
        )


@click.command("train")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: models/<version>.json in the runtime folder.",
)
@click.option(
    "--least-records",
    type=click.IntRange(min=2),
    help="Refuse to train on fewer. Default: 20,000.",
)
def train_command(out: Path | None, least_records: int | None) -> None:
    """Train a match model on the people of the warehouse, without labels.

    One immutable version, kept in identity.match_model and as a file. No run uses it:
    try it with `cdp identity what-if FILE`, then name the file in the ruleset. The same
    records give the same version.
    """
    from cdp_assets.identity.judging.training_report import in_words
    from cdp_assets.identity.rules import read_ruleset
    from cdp_assets.identity.train import (
        LEAST_TRAINED_ON,
        keep_version,
        train,
        write_file,
    )

    with reading() as connection:
        trained = train(connection, least=least_records or LEAST_TRAINED_ON)
    with loaded().writing("keeping a match model") as connection:
        is_new = keep_version(connection, trained, read_ruleset(), at=utc_now())
    file = out or Paths.from_environment().root / "models" / f"{trained.version}.json"
    write_file(trained, file)
    click.echo(in_words(trained))
    click.echo(
        f"\n{trained.version} {'is kept' if is_new else 'was kept before'}, and "
        f"written to {file}. Nobody uses it yet: `cdp identity what-if {file}`, then "
        "put it beside the ruleset and name it there (model: file:)"
    )


@click.command("rulesets")
@click.argument("names", nargs=-1)
def rulesets_command(names: tuple[str, ...]) -> None:
    """People by other rulesets, beside those published.

    Resolves by every ruleset in cdp_assets/rulesets, or by those named, and compares.
    Nothing follows them: profiles, segments and activations are those of ruleset.yaml.
    """
    from cdp_assets.declarations import nearest
    from cdp_assets.rulesets.comparing import compare_rulesets, table
    from cdp_assets.rulesets.spec import load_rulesets

    declared = load_rulesets()
    for name in names:
        if name not in declared:
            raise click.ClickException(
                f"no ruleset {name!r}{nearest(name, declared)} (there are "
                f"{', '.join(sorted(declared)) or 'none'}; one is a YAML in "
                "cdp_assets/rulesets)"
            )
    standings = compare_rulesets(
        Paths.from_environment(),
        rulesets=declared,
        names=names,
        say=lambda text: click.echo(text, err=True),
    )
    for line in table(standings):
        click.echo(line)
