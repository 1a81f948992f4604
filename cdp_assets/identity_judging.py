"""``cdp identity evaluate``: how good the published people are."""

import click

from cdp_assets.identity_commands import reading
from cdp_assets.paths import Paths


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
