"""People that would merge or split: two partitions of the same records compared."""

from dataclasses import dataclass

import duckdb

_OBJECTS = {"individual": "people", "account": "companies"}


@dataclass(frozen=True)
class Example:
    """One merge or split: the people on one side, the records of each on the other."""

    parts: list[list[str]]


@dataclass(frozen=True)
class Moves:
    """How the people of one object would differ."""

    object: str
    before: int
    after: int
    merges: int
    splits: int
    records_moved: int
    merged: list[Example]
    split: list[Example]


def remember_links(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep the links as they stand, in schema ``what_if``."""
    connection.execute("create schema if not exists what_if")
    for name in _OBJECTS:
        connection.execute(
            f"""
            create or replace table what_if.link_{name} as
            select record, unified_{name}_id as id from identity.unified_link_{name}
            """
        )


def compare_links(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    examples: int,
    earlier: str | None = None,
) -> Moves:
    """Compare earlier links with those that stand now.

    Args:
        connection: A warehouse.
        object_name: ``individual`` or ``account``.
        examples: How many merges and splits to name.
        earlier: SELECT of ``record, id``; default the links remembered.
    """
    connection.execute(
        f"""
        create or replace temp table moved_link as
        select record, old.id as old_id, new.unified_{object_name}_id as new_id
        from ({earlier or f"from what_if.link_{object_name}"}) as old
        inner join identity.unified_link_{object_name} as new using (record)
        """
    )
    before, after, moved = connection.execute(
        """
        select count(distinct old_id), count(distinct new_id),
            count(*) filter (old_id <> new_id)
        from moved_link
        """
    ).fetchall()[0]
    merges, merged = _fan(connection, "new_id", "old_id", examples)
    splits, split = _fan(connection, "old_id", "new_id", examples)
    return Moves(object_name, before, after, merges, splits, moved, merged, split)


def _fan(
    connection: duckdb.DuckDBPyConnection, whole: str, part: str, examples: int
) -> tuple[int, list[Example]]:
    """Wholes of more than one part: how many, and the first few."""
    connection.execute(
        f"""
        create or replace temp table fanned as
        select {whole} as whole, list(records order by records) as parts
        from (
            select {whole}, {part}, list(record order by record) as records
            from moved_link group by all
        )
        group by {whole} having count(*) > 1
        """
    )
    (count,) = connection.execute("select count(*) from fanned").fetchall()[0]
    rows = connection.execute(
        "select parts from fanned order by hash(parts), whole limit ?", [examples]
    ).fetchall()
    return count, [Example(parts) for (parts,) in rows]
