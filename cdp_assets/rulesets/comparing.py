"""All rulesets in turn, each beside the published one, and how they stand."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.evaluation import Quality
from cdp_assets.paths import Paths
from cdp_assets.rulesets.keeping import keep
from cdp_assets.rulesets.resolving import forget_undeclared, opened, resolve_beside
from cdp_assets.rulesets.spec import BesideRuleset, load_rulesets
from cdp_assets.rulesets.standing import (
    Standing,
    published_standings,
    standings_beside,
)
from cdp_assets.warehouse import Warehouse, refuse_outdated
from cdp_assets.what_if.rehearsal import last_instant

Say = Callable[[str], None]

_NOUN = {"individual": "people", "account": "companies"}


class RulesetError(OperatorError, RuntimeError):
    """Rulesets that could not be resolved, and why."""


def compare_rulesets(
    paths: Paths,
    *,
    rulesets: Mapping[str, BesideRuleset] | None = None,
    names: Sequence[str] = (),
    say: Say = print,
) -> list[Standing]:
    """Resolve by each ruleset what the last published run resolved, and compare.

    Args:
        paths: The runtime folder.
        rulesets: All that are declared; default those of this package.
        names: Of these the ones to resolve; default all.
        say: Told one line per step.

    Returns:
        The published ruleset's standings first, then the others' in order of names.

    Raises:
        NotLoadedError: Nothing was loaded yet, or by an earlier version.
        RehearsalError: Nobody is published yet.
        RulesetError: Some could not be resolved; the others are kept.
    """
    declared = load_rulesets() if rulesets is None else rulesets
    truth = paths.samples / "truth.csv"
    with Warehouse(paths, say=say).reading("comparing rulesets") as connection:
        refuse_outdated(connection)
        as_of = last_instant(connection)
        standings = published_standings(connection, truth)
    failed = {}
    for name in names or sorted(declared):
        say(f"ruleset {name}")
        try:
            with opened(paths, name, say) as connection:
                result = resolve_beside(
                    connection, declared[name], as_of=as_of, say=say
                )
                standings += standings_beside(connection, name, result, truth)
        except (OperatorError, OSError, duckdb.Error, ValueError) as error:
            # One that cannot be resolved keeps no other from being kept.
            failed[name] = error
            say(f"ruleset {name} failed: {error}")
    for name in forget_undeclared(paths, declared):
        say(f"ruleset {name} is declared no more: its file is removed")
    with Warehouse(paths, say=say).writing("keeping rulesets") as connection:
        keep(connection, paths, declared, standings, as_of)
    if failed:
        raise RulesetError(
            "; ".join(f"ruleset {name}: {error}" for name, error in failed.items())
            + ". The others are kept; mend the cause and run `cdp identity rulesets`"
        ) from next(iter(failed.values()))
    return standings


def table(standings: Sequence[Standing]) -> Iterator[str]:
    """How they stand, as a table of Markdown."""
    yield (
        "| ruleset | of | records | are | consolidation | largest | alone "
        "| joins | parts | precision | recall | F1 |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for each in standings:
        yield (
            f"| {each.ruleset}{' (held)' if each.held_by else ''} "
            f"| {_NOUN[each.object]} "
            f"| {each.records:,} | {each.people:,} | {each.consolidation_rate:.1%} "
            f"| {each.largest:,} | {each.unmatched:,} | {_count(each.merges)} "
            f"| {_count(each.splits)} | {_scores(each.quality)} |"
        )
    yield ""
    yield (
        "joins: its people that are several as published; parts: published people that "
        "are several by it"
    )
    for each in standings:
        if each.held_by:
            yield f"{each.ruleset}, {_NOUN[each.object]}: held, {each.held_by}"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _scores(quality: Quality | None) -> str:
    if quality is None:
        return " | | "
    return f"{quality.precision:.3f} | {quality.recall:.3f} | {quality.f1:.3f}"
