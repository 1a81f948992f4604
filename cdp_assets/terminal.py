"""``cdp run``: the whole graph from a terminal, ending by itself with a summary."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdp_assets import last_run
from cdp_assets.activation.receiver import receiving
from cdp_assets.activation.signing import new_secret
from cdp_assets.data_actions.spec import load_senders
from cdp_assets.identity.decided import decisions_wait
from cdp_assets.identity.rules import read_ruleset
from cdp_assets.paths import Paths
from cdp_assets.runs import parse_instant, pin_as_of, pinned_as_of
from cdp_assets.segments.spec import load_segments
from cdp_assets.streams import inbox, landing
from cdp_assets.streams.spec import load_streams
from cdp_assets.summary import examples, summary
from cdp_assets.warehouse import Warehouse

if TYPE_CHECKING:
    from cdp_assets.defs.launch import Outcome

SECOND_LOOK_SECONDS = 1.0
URL, SECRET = "CDP_CART_WEBHOOK_URL", "CDP_CART_WEBHOOK_SECRET"


def run_and_report(paths: Paths, *, samples: bool, force: bool) -> bool:
    """Run what there is to run and print what stands afterwards.

    Args:
        paths: The runtime folder.
        samples: Put the sample sources into the inbox if nothing was ever loaded.
        force: Run every asset even if nothing is new, and resolve all people.

    Returns:
        Whether everything succeeded.
    """
    from cdp_assets.defs.launch import (
        open_instance,
        run_graph,
        sole_terminal,
        wait_for_others,
    )

    started = time.monotonic()
    read_declarations()
    with sole_terminal(paths, click.echo):
        if samples and _is_untouched(paths):
            deliver_samples(paths)
        with open_instance(paths) as instance:
            wait_for_others(instance, paths, click.echo)
            succeeded = _run_if_due(
                paths, lambda log: run_graph(instance, log, full=force), force=force
            )
    if succeeded:
        click.echo(f"\n{time.monotonic() - started:.1f} s")
    return succeeded


def read_declarations() -> None:
    """Read whatever a run is made of, so that a mistake is told before it starts."""
    load_streams(), read_ruleset(), load_segments(), load_senders()


def _run_if_due(paths: Paths, run: Callable[[Path], "Outcome"], *, force: bool) -> bool:
    """Run if anything is new, print what stands then; returns whether all is well."""
    before = last_run.recall(paths)
    refused = take_in(paths)
    warnings: dict[str, list[str]] = {}
    if not force and before is not None and _nothing_to_do(paths, before):
        click.echo(
            "Nothing new: no file or decision waits; same declarations, models, clock."
        )
    else:
        last_run.forget(paths)
        log = paths.root / "run.log"
        log.write_text("", encoding="utf-8")
        with receiver_of_samples(paths):
            outcome = _run_waves(paths, lambda: run(log))
        warnings = outcome.warnings
        if not outcome.succeeded:
            click.echo(failure(outcome.faults, log))
            _say_refused(refused)
            return False
    click.echo("\nTaking a digest of every table …")
    with Warehouse(paths).reading("the summary") as connection:
        after = last_run.standing(connection, paths)
        click.echo(summary(connection, paths, warnings))
        commands = examples(connection)
    _say_refused(refused)
    last_run.remember(paths, after)
    if before is not None:
        _say_what_moved(before, after)
    if commands:
        click.echo("\nGo on with")
    for command in commands:
        click.echo(f"  .venv/bin/{command}")
    return True


def take_in(paths: Paths) -> dict[str, str]:
    """Adopt what lies complete in the inbox.

    Returns:
        What no stream takes, with the reason.
    """
    specs = load_streams()
    look = inbox.adopt(paths, specs)
    if look.unsettled:
        # Whoever copies a file and types `cdp run` means that file.
        time.sleep(SECOND_LOOK_SECONDS)
        look = inbox.adopt(paths, specs, earlier=look.unsettled)
    for name in look.unsettled:
        click.echo(f"{name} is still being written; the next run takes it")
    return look.refused


def failure(faults: Sequence[str], log: Path) -> str:
    """What to print after a run that failed: at fault is what, and what next."""
    lines = ["\nThe run failed; the last good state stays. At fault:"]
    lines += [f"  {fault}" for fault in dict.fromkeys(faults)]
    lines.append(
        "Mend it and run `cdp run` again: it takes up what is left. All that was "
        f"printed is in {log}; `make ui` shows each step."
    )
    return "\n".join(lines)


def _say_refused(refused: Mapping[str, str]) -> None:
    if refused:
        click.echo("\nRefused in the inbox, where they stay")
    for name, reason in refused.items():
        click.echo(f"  {name}: {reason}")


def _run_waves(paths: Paths, run: "Callable[[], Outcome]") -> "Outcome":
    """Run the graph until no file waits or a run failed; returns how the last ended.

    What a run could not take, such as a file that keeps changing, is left to the next.
    """
    before: list[Path] = []
    while (outcome := run()).succeeded:
        left = _waiting(paths)
        if not left or left == before:
            break
        click.echo(f"{len(left):,} files wait for the next wave …")
        before = left
    return outcome


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
    with Warehouse(paths).reading("looking for decisions") as connection:
        if decisions_wait(connection):
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
def receiver_of_samples(paths: Paths) -> Iterator[None]:
    """Serve the shipped webhook activation over the samples, whose clock is pinned.

    Unless its real receiver is configured. Anybody's own messages wait for theirs: here
    they would count as delivered.
    """
    if os.environ.get(URL) or pinned_as_of(paths) is None:
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
