"""The trial: resolve in a copy, let everything follow, compare, throw it away."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.identity.model import MatchModel, read_model
from cdp_assets.identity.outcome import ResolutionResult, next_run
from cdp_assets.identity.release import release
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import RULESET, Ruleset, read_ruleset
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse, utc_now
from cdp_assets.what_if.consequences import (
    Consequences,
    RehearsalError,
    build_profiles,
    compare_profiles,
    remember_profiles,
)
from cdp_assets.what_if.people import Moves, compare_links, remember_links
from cdp_assets.what_if.scratch import scratch

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outlook:
    """What would become of the published people, and of what follows from them."""

    tried: str
    waiting: bool
    """Whether the copy held changes that no run has published: they are in neither
    side of the comparison's difference."""
    gates: list[str]
    people: list[Moves]
    consequences: Consequences | None


@dataclass(frozen=True)
class Trial:
    """The ruleset to try, and per object a model in place of the one it names."""

    ruleset: Ruleset
    models: dict[str, MatchModel]


def read_trial(file: Path) -> Trial:
    """A ruleset (YAML), with a model of its own beside it if it names one; or a model.

    Raises:
        DeclarationError: It cannot work, or is neither.
    """
    if file.suffix == ".json":
        return Trial(read_ruleset(), {"individual": read_model(file.resolve())})
    ruleset = read_ruleset(file)
    models = {}
    for name in ("individual", "account"):
        use = getattr(ruleset, name).model
        beside = file.resolve().parent / use.file if use and use.file else None
        if beside is not None and beside.exists():
            models[name] = read_model(beside)
    return Trial(ruleset, models)


def rehearse(
    paths: Paths,
    trial: Trial,
    *,
    name: str,
    examples: int,
    people_only: bool,
    say: Say,
) -> Outlook:
    """Try a ruleset in a copy of the warehouse; nothing of the living one is written.

    Args:
        paths: The runtime folder.
        trial: What to try.
        name: What the outlook calls it.
        examples: How many merges and splits to name.
        people_only: Leave out profiles, insights, segments and activations.
        say: Told one line per step.

    Raises:
        RehearsalError: A result was held for what cannot be released, or dbt failed.
    """
    with scratch(paths) as copy:
        opener = Warehouse(copy)
        with opener.writing("a what-if") as connection:
            as_of = last_instant(connection)
            say("the people of today")
            today = resolve_in_copy(connection, as_of, Trial(read_ruleset(RULESET), {}))
            waiting = bool(today.created or today.changed or today.retired)
            remember_links(connection)
        if not people_only:
            if waiting:
                build_profiles(copy, as_of)
            with opener.writing("a what-if") as connection:
                remember_profiles(connection)
        with opener.writing("a what-if") as connection:
            say(f"the people of {name}")
            tried = resolve_in_copy(connection, as_of, trial)
            people = [
                compare_links(connection, object_name, examples)
                for object_name in ("individual", "account")
            ]
        consequences = None
        if not people_only:
            say("profiles and insights")
            build_profiles(copy, as_of)
            with opener.writing("a what-if") as connection:
                consequences = compare_profiles(
                    connection, copy, run=tried.run, as_of=as_of
                )
    return Outlook(name, waiting, tried.gates, people, consequences)


@dataclass(frozen=True)
class Resolved:
    """A run in the copy: whom it made, and the gates that it was released from."""

    run: int
    created: int
    changed: int
    retired: int
    gates: list[str]


def resolve_in_copy(
    connection: duckdb.DuckDBPyConnection, as_of: dt.datetime, trial: Trial
) -> Resolved:
    """Resolve and promote in the copy; a failing gate is noted and released there."""
    result = _once(connection, as_of, trial)
    gates = [str(failure) for failure in result.failures]
    if gates:
        release(connection, run=None, by="what-if", at=utc_now(), why="a trial")
        result = _once(connection, as_of, trial)
    if result.failures:
        raise RehearsalError("the trial is held: " + "; ".join(gates))
    changes = result.individual.changes
    return Resolved(
        result.run, changes.created, changes.changed, changes.retired, gates
    )


def _once(
    connection: duckdb.DuckDBPyConnection, as_of: dt.datetime, trial: Trial
) -> ResolutionResult:
    return resolve(
        connection,
        run=next_run(connection),
        as_of=as_of,
        say=lambda _: None,
        ruleset=trial.ruleset,
        models=trial.models,
    )


def last_instant(connection: duckdb.DuckDBPyConnection) -> dt.datetime:
    """The instant of the last published run: only people move, no window of time."""
    (as_of,) = connection.execute(
        "select max(as_of) from identity.run where status = 'promoted'"
    ).fetchall()[0]
    if as_of is None:
        raise RehearsalError("nobody is published yet: run `cdp run` first")
    return dt.datetime.fromisoformat(str(as_of))
