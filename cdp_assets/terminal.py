"""``cdp run``: the whole graph from a terminal, ending by itself with a summary."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from cdp_assets import last_run
from cdp_assets.activation.receiver import receiving
from cdp_assets.activation.signing import new_secret
from cdp_assets.paths import Paths
from cdp_assets.runs import parse_instant, pin_as_of
from cdp_assets.streams import inbox, landing
from cdp_assets.streams.spec import load_streams
from cdp_assets.summary import summary
from cdp_assets.warehouse import Warehouse

URL, SECRET = "CDP_CART_WEBHOOK_URL", "CDP_CART_WEBHOOK_SECRET"


def run_and_report(paths: Paths, *, samples: bool, force: bool) -> bool:
    """Run what there is to run and print what stands afterwards.

    Args:
        paths: The runtime folder.
        samples: Put the sample sources into the inbox if nothing was ever loaded.
        force: Run every asset even if nothing is new.

    Returns:
        Whether everything succeeded.
    """
    from cdp_assets.defs.launch import open_instance, run_graph, wait_for_others

    started = time.monotonic()
    if samples and _is_untouched(paths):
        deliver_samples(paths)
    with open_instance(paths) as instance:
        wait_for_others(instance, paths, click.echo)
        before = last_run.recall(paths)
        if not force and before is not None and _nothing_to_do(paths, before):
            click.echo(
                "Nothing new: no waiting file, same declarations, models, clock."
            )
        else:
            last_run.forget(paths)
            with _receiver(paths):
                log = paths.root / "run.log"
                succeeded = _run_waves(paths, lambda: run_graph(instance, log))
            if not succeeded:
                click.echo(
                    "The run failed; the last good state stays. `make ui` shows the "
                    "run's log; run again when its cause is mended."
                )
                return False
    with Warehouse(paths).reading("the summary") as connection:
        after = last_run.standing(connection, paths)
        click.echo(summary(connection, paths))
    last_run.remember(paths, after)
    if before is not None:
        _say_what_moved(before, after)
    click.echo(f"\n{time.monotonic() - started:.1f} s")
    return True


def _run_waves(paths: Paths, run: Callable[[], bool]) -> bool:
    """Run the graph until no file waits; returns whether all of it succeeded.

    What a run could not take, such as a file that keeps changing, is left to the next.
    """
    before: list[Path] = []
    while run():
        left = _waiting(paths)
        if not left or left == before:
            return True
        click.echo(f"{len(left):,} files wait for the next wave …")
        before = left
    return False


def _say_what_moved(before: last_run.Standing, after: last_run.Standing) -> None:
    changed = last_run.differences(before, after)
    if not changed:
        click.echo(
            f"\nUnchanged since the last run: the digests of all {len(after.tables)} "
            f"tables, and the outbox at sequence {after.outbox_sequence:,}."
        )
        return
    click.echo("\nChanged since the last run:")
    for line in changed:
        click.echo(f"  {line}")


def deliver_samples(paths: Paths) -> None:
    """Generate the sample sources if need be, drop them in the inbox, pin the clock."""
    from cdp_assets.samples.generate import generate

    manifest = paths.samples / "manifest.json"
    if not manifest.exists():
        click.echo("Generating sample sources …")
        generate(paths.samples)
    as_of = json.loads(manifest.read_text(encoding="utf-8"))["as_of"]
    for stream in load_streams():
        for path in sorted((paths.samples / stream).glob("*")):
            dropped = paths.inbox / stream / path.name
            dropped.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, dropped)
            dropped.with_name(dropped.name + inbox.MARKER).touch()
    pin_as_of(paths, parse_instant(as_of))
    click.echo(f"The samples are in the inbox; runs take {as_of} as now.")


def _is_untouched(paths: Paths) -> bool:
    return not paths.warehouse.exists() and not any(
        True for _ in paths.inbox.glob("*/*")
    )


def _nothing_to_do(paths: Paths, before: last_run.Standing) -> bool:
    if before.fingerprint != last_run.fingerprint(paths):
        return False
    if any(True for _ in paths.inbox.glob("*/*")):
        return False
    return not _waiting(paths)


def _waiting(paths: Paths) -> list[Path]:
    with Warehouse(paths).reading("looking for waiting files") as connection:
        return [
            path
            for spec in load_streams().values()
            for path in landing.waiting(connection, paths, spec)
        ]


@contextlib.contextmanager
def _receiver(paths: Paths) -> Iterator[None]:
    """Serve the shipped webhook activation, unless its real receiver is configured."""
    if os.environ.get(URL):
        yield
        return
    secret = new_secret()
    got = paths.outgoing / "received.ndjson"
    with receiving(got, secret) as receiver:
        os.environ[URL], os.environ[SECRET] = receiver.url, secret
        try:
            yield
        finally:
            del os.environ[URL], os.environ[SECRET]
