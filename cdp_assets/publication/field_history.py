"""Which field of a profile changed, when, and by which record.

A DLO keeps the newest version of a record and a document the profile of now, so the
changes are noted where the old document is about to be replaced by the new one, in the
transaction that does it: what was published is what the history says. Fields that no
record stands for (counts, the name put together) follow from the others and have none.

Values are personal data. They go when the record that they came from goes, with all
that a person's profile ever said if that was their last, and after ``KEPT_DAYS``.
"""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

SCHEMA = """
create table if not exists field_change (
    unified_individual_id text not null,
    run integer not null,
    changed_at text not null,
    field text not null,
    value_before text,
    record_before text,
    value_after text,
    record_after text
);
create index if not exists field_change_person
    on field_change (unified_individual_id, changed_at);
create index if not exists field_change_time on field_change (changed_at);
create index if not exists field_change_before on field_change (record_before)
    where record_before is not null;
create index if not exists field_change_after on field_change (record_after)
    where record_after is not null;
create table if not exists field_followed (field text primary key);
"""

# A year and the same month of the year before, as the books of loads.
KEPT_DAYS = 400
_ROWS_PER_BATCH = 10_000


@dataclass(frozen=True)
class FieldChange:
    """A field that said something else from a run on; None: nothing, or erased."""

    at: dt.datetime
    """The run's now (UTC)."""
    run: int
    field: str
    value_before: str | None
    record_before: str | None
    value_after: str | None
    record_after: str | None


@dataclass(frozen=True)
class Occasion:
    """The publication that notes changes: its run, and which fields it compares."""

    run: int
    at: dt.datetime
    fields: list[str]


def begin(
    store: sqlite3.Connection,
    run: int,
    at: dt.datetime,
    fields: Sequence[str],
) -> Occasion:
    """Open the history for one publication, and cut what is too old.

    A field that was not published before is not compared: it would be said to have
    changed for everybody.

    Args:
        store: The documents, in the transaction that replaces some.
        run: The last run of the pipeline.
        at: What that run takes as now (UTC).
        fields: Those that documents have now, with the record each comes from.
    """
    known = {name for (name,) in store.execute("select field from field_followed")}
    store.execute("delete from field_followed")
    store.executemany(
        "insert into field_followed values (?)", [[name] for name in fields]
    )
    store.execute(
        "delete from field_change where changed_at < ?",
        [(at - dt.timedelta(days=KEPT_DAYS)).isoformat(sep=" ")],
    )
    return Occasion(run, at, [name for name in fields if name in known])


def take_old(
    connection: duckdb.DuckDBPyConnection,
    store: sqlite3.Connection,
    people: Sequence[tuple[str]],
) -> None:
    """Copy the documents that are about to go to ``publication_old``."""
    import pyarrow as pa

    connection.execute(
        "create or replace temp table publication_old "
        "(unified_individual_id varchar, document json)"
    )
    for first in range(0, len(people), _ROWS_PER_BATCH):
        batch = [person for (person,) in people[first : first + _ROWS_PER_BATCH]]
        marks = ", ".join("?" * len(batch))
        rows = store.execute(
            "select unified_individual_id, document from profile "
            f"where unified_individual_id in ({marks})",
            batch,
        ).fetchall()
        ids, documents = zip(*rows, strict=True) if rows else ((), ())
        connection.register(
            "publication_batch",
            pa.table(
                {
                    "person": pa.array(ids, pa.string()),
                    "document": pa.array(documents, pa.string()),
                }
            ),
        )
        connection.execute("insert into publication_old from publication_batch")
        connection.unregister("publication_batch")


def note_changes(
    connection: duckdb.DuckDBPyConnection,
    store: sqlite3.Connection,
    occasion: Occasion,
) -> None:
    """Note what differs between ``publication_old`` and ``publication_changed``."""
    found = connection.execute(
        """
        with pair as (
            select old.unified_individual_id,
                old.document -> '$.fields' as was,
                new.document::json -> '$.fields' as now
            from publication_old as old
            inner join publication_changed as new using (unified_individual_id)
            -- Objects have sorted keys, so the same fields are the same text.
            where was::varchar <> now::varchar
        ),
        said as (
            select unified_individual_id, field,
                was ->> ('$."' || field || '".value') as value_before,
                was ->> ('$."' || field || '".record') as record_before,
                now ->> ('$."' || field || '".value') as value_after,
                now ->> ('$."' || field || '".record') as record_after
            from pair cross join (select unnest($fields::varchar[]) as field)
        )
        select unified_individual_id, $run, $at::timestamp::varchar, field,
            value_before, record_before, value_after, record_after
        from said where value_before is distinct from value_after
        order by unified_individual_id, field
        """,
        {"fields": occasion.fields, "run": occasion.run, "at": occasion.at},
    )
    while batch := found.fetchmany(_ROWS_PER_BATCH):
        store.executemany(
            "insert into field_change values (?, ?, ?, ?, ?, ?, ?, ?)", batch
        )


def forget_gone(
    connection: duckdb.DuckDBPyConnection, store: sqlite3.Connection
) -> int:
    """Erase the values of records that are gone, whatever the documents are.

    The history is asked and not the documents replaced: after a restore there are none,
    and the history may be older than the erasure. Both indexes are read through and no
    row is: 0.11 s of 100,000 changes of 50,000 records, where nothing is gone.

    Returns:
        How many records were named that are gone.
    """
    import pyarrow as pa

    connection.execute("create or replace temp table publication_named (id varchar)")
    for column in ("record_before", "record_after"):
        named = store.execute(
            f"select distinct {column} from field_change where {column} is not null"
        )
        while batch := named.fetchmany(_ROWS_PER_BATCH * 10):
            connection.register(
                "publication_batch", pa.table({"id": [record for (record,) in batch]})
            )
            connection.execute("insert into publication_named from publication_batch")
            connection.unregister("publication_batch")
    gone = connection.execute(
        "select distinct id from publication_named anti join dmo.individual using (id)"
    ).fetchall()
    store.executemany("delete from field_change where record_after = ?", gone)
    store.executemany(
        "update field_change set value_before = null, record_before = null "
        "where record_before = ?",
        gone,
    )
    if gone:
        # What is left of a field that was emptied says nothing.
        store.execute(
            "delete from field_change "
            "where record_before is null and record_after is null"
        )
    return len(gone)


def changes_of(path: Path, ids: Sequence[str]) -> list[FieldChange]:
    """The changes kept of people, by any of their ids, the first first.

    Args:
        path: The store of documents.
        ids: Living and retired ids.
    """
    if not path.exists():
        return []
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10) as store:
        there = store.execute(
            "select count(*) from sqlite_master where name = 'field_change'"
        ).fetchone()
        if not there[0]:
            return []
        marks = ", ".join("?" * len(ids))
        rows = store.execute(
            "select changed_at, run, field, value_before, record_before, value_after, "
            f"record_after from field_change where unified_individual_id in ({marks}) "
            "order by changed_at, run, field",
            list(ids),
        ).fetchall()
    store.close()
    return [FieldChange(dt.datetime.fromisoformat(at), *rest) for at, *rest in rows]
