"""The history of a record or an id as text, each step with what moved it."""

import itertools
from collections.abc import Iterator

import duckdb

from cdp_assets.identity.causes import cause_of
from cdp_assets.identity.history import Move, find_id, leads_to, members_as_of, moves_of

_NAMED = 6


def history(connection: duckdb.DuckDBPyConnection, key: str) -> str:
    """Every step of one record, or of one id, the first first."""
    moves = moves_of(connection, key)
    ids = [move.went_to or move.came_from for move in moves]
    found = find_id(connection, next(each for each in ids if each))
    object_name = found.object if found else "individual"
    # Whoever met this key at any time: a decision between two of them may be the cause.
    everybody = _everybody(connection, moves)
    lines = [key]
    for run, steps in itertools.groupby(moves, key=lambda move: move.run):
        cause = cause_of(connection, object_name, run, everybody)
        at = f"{cause.at:%Y-%m-%d %H:%M} UTC" if cause.at else "figures have expired"
        model = f", {cause.model}" if cause.model else ""
        lines.append(f"\nrun {run}, {at} ({cause.ruleset or 'unknown'}{model})")
        lines += [f"  {_step(connection, key, step)}" for step in steps]
        lines += [f"  because of {each}" for each in cause.news]
    lines += ["", *_now(connection, key, moves[-1])]
    return "\n".join(lines)


def as_of(connection: duckdb.DuckDBPyConnection, unified_id: str, run: int) -> str:
    """Where an id led after a run, and who was there."""
    living = leads_to(connection, unified_id, run)
    if living == [unified_id]:
        said = f"{unified_id} lived after run {run}"
    elif not living:
        return f"{unified_id} was empty after run {run}: its records were deleted"
    elif len(living) == 1:
        said = f"{unified_id} was merged into {living[0]} by run {run}"
    else:
        said = f"{unified_id} was split into {', '.join(living)} by run {run}"
    return "\n".join(
        [said]
        + [
            f"  {each}: {_named(members_as_of(connection, each, run))}"
            for each in living
        ]
    )


def _everybody(connection: duckdb.DuckDBPyConnection, moves: list[Move]) -> list[str]:
    ids = {each for move in moves for each in (move.came_from, move.went_to) if each}
    rows = connection.execute(
        "select distinct record from identity.link_history "
        "where unified_id in (select unnest($ids::varchar[]))",
        {"ids": sorted(ids)},
    ).fetchall()
    return [record for (record,) in rows]


def _step(connection: duckdb.DuckDBPyConnection, key: str, move: Move) -> str:
    named = _named(move.records)
    if move.came_from is None:
        return f"new: {named} in {move.went_to}"
    if move.went_to is None:
        return f"gone from the source: {named}, last in {move.came_from}"
    old, new = (find_id(connection, each) for each in (move.came_from, move.went_to))
    if old and old.retired_run == move.run:
        how = f"merged into {move.went_to}" if move.went_to != key else "merged into it"
        if len(leads_to(connection, move.came_from, move.run)) > 1:
            how = f"split up, in part into {move.went_to}"
        return f"{move.came_from} was {how}: {named}"
    if new and new.born_run == move.run:
        return f"split off {move.came_from} as {move.went_to}: {named}"
    return f"moved from {move.came_from} to {move.went_to}: {named}"


def _named(records: list[str]) -> str:
    more = f" and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
    return ", ".join(records[:_NAMED]) + more


def _now(connection: duckdb.DuckDBPyConnection, key: str, last: Move) -> Iterator[str]:
    found = find_id(connection, key)
    if found is None:
        yield f"now in {last.went_to}" if last.went_to else "now gone"
        return
    (run,) = connection.execute(
        "select max(run) from identity.link_history"
    ).fetchall()[0]
    living = leads_to(connection, key, run)
    if living == [key]:
        yield f"lives: {_named(members_as_of(connection, key, run))}"
    elif not living:
        yield "retired: empty"
    else:
        yield f"retired: leads to {', '.join(living)}"
