"""``cdp backup | restore | status | doctor``: the operator's commands."""

import dataclasses
import json
import sys
from pathlib import Path

import click

from cdp_assets.operations.manifest import BackupError
from cdp_assets.paths import Paths


@click.command("backup")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--keep", default=14, show_default=True, help="How many stay in FOLDER.")
def backup_command(folder: Path | None, keep: int) -> None:
    """Save what no run could derive again; default folder: CDP_BACKUPS, data/backups.

    Loads and resolutions wait meanwhile; readers and deliveries do not.
    """
    from cdp_assets.operations.backup import backup
    from cdp_assets.operations.manifest import read_manifest

    try:
        made = backup(Paths.from_environment(), folder, keep=keep)
    except (BackupError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    manifest = read_manifest(made)
    size = sum(file.bytes for file in manifest.files)
    click.echo(
        f"{made}: {manifest.rows:,} rows of {len(manifest.tables)} tables, "
        f"{size / 1e6:,.1f} MB"
    )


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--replace", is_flag=True, help="Take the place of what lives here.")
@click.option("--check", is_flag=True, help="Read it all as if; change nothing.")
def restore_command(folder: Path, replace: bool, check: bool) -> None:
    """Put a backup in the place of the warehouse and the outbox.

    The next run builds what was not saved: the canonical model, profiles, insights and
    what readers see.
    """
    from cdp_assets.operations.restore import rehearse, restore

    paths = Paths.from_environment()
    try:
        if check:
            manifest = rehearse(paths, folder)
        else:
            manifest = restore(paths, folder, replace=replace)
    except BackupError as error:
        raise click.ClickException(str(error)) from None
    made = f"the backup of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    if check:
        click.echo(f"{made} can be restored: {manifest.rows:,} rows compared")
        return
    click.echo(
        f"{made} is in place, {manifest.rows:,} rows; `cdp run` builds what follows"
    )


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def status_command(as_json: bool) -> None:
    """The whole platform on one screen; waits for nobody."""
    from cdp_assets.defs.history import history_of
    from cdp_assets.operations import screen
    from cdp_assets.operations.gathering import gather

    paths = Paths.from_environment()
    facts = gather(paths, history_of(paths))
    if as_json:
        click.echo(json.dumps(screen.plain(facts), indent=1))
    else:
        click.echo(screen.status_text(facts))


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--thorough", is_flag=True, help="Also read every block of every file.")
def doctor_command(as_json: bool, thorough: bool) -> None:
    """What is wrong and what to do; exit code 1 for warnings, 2 for failures."""
    from cdp_assets.defs.history import history_of
    from cdp_assets.operations import doctor, screen
    from cdp_assets.operations.gathering import gather
    from cdp_assets.operations.integrity import check_thoroughly

    paths = Paths.from_environment()
    damaged = tuple(check_thoroughly(paths)) if thorough else ()
    facts = gather(paths, history_of(paths))
    facts = dataclasses.replace(facts, damaged=(*facts.damaged, *damaged))
    findings = doctor.examine(facts)
    if as_json:
        click.echo(json.dumps(screen.plain(findings), indent=1))
    else:
        click.echo(screen.doctor_text(findings))
    sys.exit(doctor.EXIT_CODES[doctor.worst(findings)])
