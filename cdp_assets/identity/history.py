"""Where records and ids were after every run, and what moved them.

``identity.link_history`` has a row each time a record changed its person. Which
decision or which version of ruleset and model came with a run is looked up beside it;
what else moves records is their own data.
"""

from dataclasses import dataclass

import duckdb

from cdp_assets.errors import OperatorError


class NoHistoryError(OperatorError, LookupError):
    """No record and no id of that name was ever published."""


@dataclass(frozen=True)
class Move:
    """Records that went the same way in one run; None is outside: not there, gone."""

    run: int
    came_from: str | None
    went_to: str | None
    records: list[str]


@dataclass(frozen=True)
class Id:
    """A published id: from which run, and until which."""

    unified_id: str
    object: str
    born_run: int
    retired_run: int | None


def moves_of(connection: duckdb.DuckDBPyConnection, key: str) -> list[Move]:
    """Every move of one record, or of any record into or out of one id.

    Raises:
        NoHistoryError: Nothing of that name was ever published.
    """
    rows = connection.execute(
        """
        with step as (
            select
                seq, run, record, unified_id as went_to,
                lag(unified_id) over (partition by record order by seq) as came_from
            from identity.link_history
            where record in (
                select record from identity.link_history
                where unified_id = $key or record = $key
            )
        )
        select run, came_from, went_to, list(record order by record)
        from step
        where record = $key or came_from = $key or went_to = $key
        group by run, came_from, went_to
        order by run, min(seq)
        """,
        {"key": key},
    ).fetchall()
    if not rows:
        raise NoHistoryError(
            f"{key} was never published; name a record as stream:key, or an id"
        )
    return [Move(*row) for row in rows]


def find_id(connection: duckdb.DuckDBPyConnection, unified_id: str) -> Id | None:
    """An id as the registry knows it."""
    rows = connection.execute(
        """
        select unified_id, object, born_run, retired_run from identity.registry
        where unified_id = ?
        """,
        [unified_id],
    ).fetchall()
    return Id(*rows[0]) if rows else None


def leads_to(
    connection: duckdb.DuckDBPyConnection, unified_id: str, run: int
) -> list[str]:
    """The ids that lived after a run and hold what an id once held, itself included.

    One: it lives, or was merged. Several: it was split into these. None: its records
    were deleted. As ``identity.redirect`` said after that run: a retired id follows the
    records that it held, and once they are gone the people that they were in.

    Raises:
        NoHistoryError: The id was not published by then.
    """
    found = find_id(connection, unified_id)
    if found is None or found.born_run > run:
        raise NoHistoryError(f"{unified_id} was not published by run {run}")
    if found.retired_run is None or found.retired_run > run:
        return [unified_id]
    moves = _moves_of_held(connection, found.unified_id, found.retired_run, run)
    where = moves.pop(found.retired_run)
    living = _distinct(where)
    at: int | None = found.retired_run
    while living and (at := _next(connection, at, run, moves, living)) is not None:
        where |= moves.get(at, {})
        if at in moves and _distinct(where):
            living = _distinct(where)
        else:
            living = _without_retired(connection, living, at)
    return living


def _next(
    connection: duckdb.DuckDBPyConnection,
    after: int | None,
    run: int,
    moves: dict[int, dict[str, str | None]],
    living: list[str],
) -> int | None:
    """The next run, up to ``run``, that moves a record held or retires an id."""
    found = [find_id(connection, each) for each in living]
    runs = {*moves, *(each.retired_run for each in found if each)}
    return min(
        (at for at in runs if at and (after or 0) < at <= run),
        default=None,
    )


def _moves_of_held(
    connection: duckdb.DuckDBPyConnection, unified_id: str, retired: int, run: int
) -> dict[int, dict[str, str | None]]:
    """Per run from its retirement on, where the records that an id held went."""
    rows = connection.execute(
        """
        with step as (
            select record, run, unified_id,
                lag(unified_id) over (partition by record order by seq) as came_from
            from identity.link_history where record in (
                select record from identity.link_history where unified_id = $id
            )
        )
        select run, record, unified_id from step
        where run between $retired and $run and record in (
            select record from step where came_from = $id and run = $retired
        )
        """,
        {"id": unified_id, "retired": retired, "run": run},
    ).fetchall()
    moves: dict[int, dict[str, str | None]] = {}
    for at, record, went_to in rows:
        moves.setdefault(at, {})[record] = went_to
    return moves


def _without_retired(
    connection: duckdb.DuckDBPyConnection, living: list[str], run: int
) -> list[str]:
    """The ids, those that a run retired replaced by where it led them."""
    ids: set[str] = set()
    for unified_id in living:
        found = find_id(connection, unified_id)
        if found and found.retired_run == run:
            ids |= set(leads_to(connection, unified_id, run))
        else:
            ids.add(unified_id)
    return sorted(ids)


def _distinct(where: dict[str, str | None]) -> list[str]:
    return sorted({each for each in where.values() if each})


def members_as_of(
    connection: duckdb.DuckDBPyConnection, unified_id: str, run: int
) -> list[str]:
    """The records that an id held after a run."""
    rows = connection.execute(
        """
        select record from (
            select * from identity.link_history where run <= $run and record in (
                select record from identity.link_history where unified_id = $id
            )
            qualify row_number() over (partition by record order by seq desc) = 1
        )
        where unified_id = $id order by record
        """,
        {"id": unified_id, "run": run},
    ).fetchall()
    return [record for (record,) in rows]
