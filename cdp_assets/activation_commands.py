"""``cdp activate``: look at a plan before it leaves, and release one that was held."""

import json

import click

from cdp_assets.declarations import nearest
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse, utc_now


@click.command("activate")
@click.argument("name")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be sent; change nothing."
)
@click.option("--release", is_flag=True, help="Plan what was held above a cap.")
@click.option("--limit", default=20, show_default=True, help="Changes shown.")
@click.option("--show-values", is_flag=True, help="Also personal values.")
def activate_command(
    name: str, dry_run: bool, release: bool, limit: int, show_values: bool
) -> None:
    """What an activation owes its destination now; runs plan and send by themselves."""
    from cdp_assets.activation.spec import load_activations

    declared = load_activations()
    if name not in declared:
        raise click.ClickException(
            f"{name!r} is no activation{nearest(name, declared)} "
            f"(declared are {', '.join(declared)})"
        )
    if dry_run == release:
        raise click.UsageError("write either --dry-run or --release")
    if dry_run:
        _rehearse(name, limit, show_values)
    else:
        _release(name)


def _rehearse(name: str, limit: int, show_values: bool) -> None:
    from cdp_assets.activation.outbox import Outbox
    from cdp_assets.activation.rehearsal import rehearse
    from cdp_assets.activation.spec import load_activations
    from cdp_assets.runs import pinned_as_of

    paths = Paths.from_environment()
    warehouse = _loaded(paths)
    with warehouse.writing(f"a dry run of {name}") as connection:
        found = rehearse(
            connection,
            load_activations()[name],
            Outbox(paths.outbox),
            pinned_as_of(paths) or utc_now(),
            limit=limit,
            show_values=show_values,
        )
    counts = ", ".join(f"{number:,} {what}" for what, number in found.counts.items())
    click.echo(f"{found.members:,} members; {counts or 'nothing to send'}")
    for why, number in found.withheld.items():
        click.echo(f"{number:>8,} withheld: {why}")
    if found.held_because:
        click.echo(f"It would be HELD: {found.held_because}")
    for row in found.rows:
        was = f"  was {previous}" if (previous := row.previous_individual_id) else ""
        click.echo(
            f"{row.operation:<7} {row.unified_individual_id}  ({row.cause}){was}"
        )
        for field in row.fields:
            old, new = _text(field.old), _text(field.new)
            click.echo(f"        {field.name}: {old} -> {new}")
    more = sum(found.counts.values()) - len(found.rows)
    if more > 0:
        click.echo(f"… and {more:,} more")


def _release(name: str) -> None:
    from cdp_assets.activation import caps
    from cdp_assets.activation.handover import hand_over
    from cdp_assets.activation.outbox import Outbox
    from cdp_assets.activation.planning import plan
    from cdp_assets.activation.spec import load_activations
    from cdp_assets.runs import join_run

    paths = Paths.from_environment()
    outbox = Outbox(paths.outbox)
    with _loaded(paths).writing(f"releasing {name}") as connection:
        held = {each.activation: each for each in caps.held_plans(connection)}
        if name not in held:
            raise click.ClickException(
                f"no plan of {name} is held; `cdp activate {name} --dry-run` shows "
                "what it owes"
            )
        run = join_run(connection, paths, f"release of {name} at {utc_now()}")
        most = int(held[name].rows * caps.GROWTH)
        spec = load_activations()[name]
        done = plan(connection, spec, outbox, run.number, run.as_of, most=most)
        hand_over(connection, outbox)
    if done.held:
        raise click.ClickException(
            f"the plan grew from {held[name].rows:,} to {done.held:,} changes since it "
            "was held: look at it again, then release that"
        )
    click.echo(f"{done.planned:,} changes go out with the next delivery: `cdp run`")


def _text(value: object) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _loaded(paths: Paths) -> Warehouse:
    """The warehouse to write to; none is made where nothing was ever loaded."""
    warehouse = Warehouse(paths, say=lambda text: click.echo(text, err=True))
    warehouse.must_exist()
    return warehouse
