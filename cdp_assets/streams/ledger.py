"""The ledger: what every load did with every row, and which bytes were loaded."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields

import duckdb

from cdp_assets.streams.fold import Folded
from cdp_assets.streams.places import LINE, PLACED
from cdp_assets.streams.scan import Scan
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import FAULTY
from cdp_assets.warehouse import utc_now


@dataclass(frozen=True)
class LoadResult:
    """What a load did. ``rows_in`` is the sum of the six counts after it, always.

    Every row read is exactly one of: ``inserted`` (a new key), ``updated`` (a greater
    version of a known one, or one that is back), ``deleted`` (a greater version that
    says the record is gone), ``unchanged`` (what is kept already), ``superseded`` (a
    smaller version, or a second one in the same load), ``quarantined``. A key absent
    from a full extract counts as a row that says it is gone. A replay reads nothing: it
    moves rows out of ``quarantined``, which is then negative, into the others.
    """

    load_seq: int | None = None
    """None: there was nothing to do, and nothing was written."""
    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    superseded: int = 0
    quarantined: int = 0
    files: int = 0
    """Files read, those without rows included."""
    unreadable_files: int = 0
    held_files: int = 0
    """Full extracts that would have deleted too much: nothing of them was folded."""
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """How many rows of the table this load wrote."""
        return self.inserted + self.updated + self.deleted

    def __add__(self, other: "LoadResult") -> "LoadResult":
        """Both loads together; the sequence number is the later one's."""
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name != "load_seq"
        }
        return LoadResult(load_seq=other.load_seq or self.load_seq, **sums)


def result_of(
    folded: Folded,
    load_seq: int,
    *,
    quarantined: int,
    files: int = 0,
    unreadable_files: int = 0,
    notes: tuple[str, ...] = (),
) -> LoadResult:
    """Put a load's counts together so that they add up."""
    decided = (
        folded.inserted
        + folded.updated
        + folded.deleted
        + folded.unchanged
        + folded.superseded
    )
    return LoadResult(
        load_seq=load_seq,
        rows_in=decided + quarantined,
        inserted=folded.inserted,
        updated=folded.updated,
        deleted=folded.deleted,
        unchanged=folded.unchanged,
        superseded=folded.superseded,
        quarantined=quarantined,
        files=files,
        unreadable_files=unreadable_files,
        notes=notes,
    )


def next_load_seq(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the load that comes now; one sequence over all streams."""
    row = connection.execute(
        "select 1 + coalesce(max(load_seq), 0) from ops.load"
    ).fetchone()
    return int(row[0]) if row else 1


def record_load(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    result: LoadResult,
    started_at: dt.datetime,
) -> None:
    """Write a load into ``ops.load``."""
    counts = {
        field.name: getattr(result, field.name)
        for field in fields(result)
        if field.name != "notes"
    }
    columns = ", ".join(counts)
    values = ", ".join(f"${name}" for name in counts)
    connection.execute(
        f"""
        insert into ops.load (stream, started_at, finished_at, notes, {columns})
        values ($stream, $started_at, $finished_at, $notes, {values})
        """,
        counts
        | {
            "stream": spec.name,
            "started_at": started_at,
            "finished_at": max(utc_now(), started_at),
            "notes": list(result.notes),
        },
    )


def record_quarantine(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, load_seq: int
) -> int:
    """File the staged rows that cannot be kept; returns how many."""
    row = connection.execute(
        f"""
        insert into ops.quarantine
        select ?, staged_file.file, {LINE}, field, reason, record, ?, null
        from {PLACED} where kind = {FAULTY}
        """,
        [spec.name, load_seq],
    ).fetchone()
    return int(row[0]) if row else 0


def record_files(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    scans: Mapping[int, Scan],
    refused: Mapping[int, str],
    load_seq: int,
    held: str | None = None,
) -> None:
    """Enter files as ``loaded``, ``empty`` or ``unreadable`` (with the reason).

    With a reason in ``held`` they are entered as that. A file that was held before and
    released is known already, and gets its new outcome.
    """
    connection.execute(
        """
        insert into ops.landed_file
            (stream, content_sha256, file, bytes, rows, load_seq, outcome, reason)
        select $stream, sha256, scanned.file, bytes,
            if($held::varchar is null, coalesce(staged_file.rows, 0), 0),
            $load_seq,
            case when $held::varchar is not null then 'held'
                when reason is not null then 'unreadable'
                when is_blank then 'empty' else 'loaded' end,
            coalesce($held::varchar, reason)
        from (
            select unnest($numbers) as file_no, unnest($shas) as sha256,
                unnest($files) as file, unnest($sizes) as bytes,
                unnest($blanks) as is_blank, unnest($reasons::varchar[]) as reason
        ) as scanned
        left join staged_file using (file_no)
        on conflict (stream, content_sha256) do update set
            file = excluded.file, rows = excluded.rows, load_seq = excluded.load_seq,
            outcome = excluded.outcome, reason = excluded.reason
        """,
        {
            "stream": spec.name,
            "load_seq": load_seq,
            "held": held,
            "numbers": list(scans),
            "shas": [scan.sha256 for scan in scans.values()],
            "files": [scan.path.name for scan in scans.values()],
            "sizes": [scan.bytes for scan in scans.values()],
            "blanks": [scan.is_blank for scan in scans.values()],
            "reasons": [refused.get(number) for number in scans],
        },
    )
