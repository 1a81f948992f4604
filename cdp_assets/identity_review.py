"""``cdp identity review | label | import-labels``: asking people, keeping answers."""

import contextlib
import getpass
from pathlib import Path

import click

from cdp_assets.identity_commands import loaded, reading
from cdp_assets.warehouse import utc_now


@click.command("review")
@click.option("--limit", default=20, show_default=True, help="How many pairs.")
@click.option(
    "--csv",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write them with what both records say: personal data.",
)
@click.option(
    "--stratified",
    type=click.IntRange(min=1),
    metavar="N",
    help="Draw N pairs at random instead, per match weight, to estimate precision and "
    "recall from.",
)
@click.option("--seed", default="1", show_default=True, help="Of --stratified.")
def review_command(
    limit: int, file: Path | None, stratified: int | None, seed: str
) -> None:
    """The pairs of records of which one answer tells most.

    Or, with --stratified, a random sample in place of the last one drawn: its answers
    say how good the published people are where no truth is known.
    """
    from cdp_assets.identity.judging.sampling import draw
    from cdp_assets.identity.review import questions, write_file
    from cdp_assets.identity.rules import read_ruleset

    ruleset = read_ruleset()
    with contextlib.ExitStack() as stack:
        if stratified is None:
            connection = stack.enter_context(reading())
            asked = questions(connection, limit, ruleset)
        else:
            connection = stack.enter_context(loaded().writing("drawing a sample"))
            asked = draw(
                connection,
                stratified,
                link_weight=ruleset.individual.link_weight(),
                seed=seed,
                at=utc_now(),
            )
        if file is not None:
            write_file(connection, asked, file)
    if file is not None:
        click.echo(
            f"{len(asked)} pairs in {file}: fill in the column answer (same, "
            f"different, unsure), then `cdp identity import-labels {file}`"
        )
        return
    for question in asked:
        click.echo(f"{question.left}  {question.right}\n    {question.reason}")
    if not asked:
        click.echo("there is nothing that nobody was asked about")


@click.command("label")
@click.argument("record_a")
@click.argument("record_b")
@click.argument("answer", type=click.Choice(["same", "different", "unsure"]))
@click.option("--by", default=getpass.getuser, help="Who says so.")
def label_command(record_a: str, record_b: str, answer: str, by: str) -> None:
    """Answer whether two records are the same.

    To judge and train by; it moves nobody.
    """
    from cdp_assets.identity.explain import whose
    from cdp_assets.identity.labels import Label, keep

    with loaded().writing("a label") as connection:
        whose(connection, record_a, record_b)
        label = Label(record_a, record_b, answer)
        keep(connection, [label], by=by, at=utc_now(), origin="label")
    click.echo(f"kept: {record_a} {answer} {record_b}")


@click.command("import-labels")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--by", default=getpass.getuser, help="Who says so.")
def import_labels_command(file: Path, by: str) -> None:
    """Keep the answers of a CSV file: record_l, record_r, answer."""
    from cdp_assets.identity.labels import keep, quality, read_file

    labels = read_file(file)
    with loaded().writing("labels") as connection:
        keep(connection, labels, by=by, at=utc_now(), origin=file.name)
        found = quality(connection)
    click.echo(
        f"{len(labels)} answers kept. The published people agree: precision "
        f"{found.precision}, recall {found.recall}"
    )
