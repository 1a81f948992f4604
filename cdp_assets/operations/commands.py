"""``cdp backup | restore | status | doctor``: the operator's commands."""

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
