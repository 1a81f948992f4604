"""The catalogue: what each stream declares beside what was really seen of it.

What a data team asks before it maps a source: what is it authoritative for, how much
comes and how fresh, which faults are known, which were met, which fields are empty.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams import quarantine
from cdp_assets.streams.dlo import table_name
from cdp_assets.streams.spec import StreamSpec

EMPTIEST = 5


@dataclass(frozen=True)
class Seen:
    """What the warehouse knows of a stream."""

    records: int
    """Live ones."""
    deleted: int
    files: int
    unreadable_files: int
    last_load_at: dt.datetime | None
    newest_at: dt.datetime | None
    """The latest modified or event time."""
    records_per_day: float
    """Over the 30 days before the newest one."""
    is_stale: bool
    """Whether the newest is older than the declared freshness allows."""
    quarantined: Mapping[str, int]
    """By field; '' for rows that were no record."""
    null_shares: Mapping[str, float]
    """Share of live records without a value, for the emptiest fields."""


@dataclass(frozen=True)
class CatalogueRow:
    """One stream of the catalogue."""

    stream: str
    source: str
    description: str
    category: str
    format: str
    key: tuple[str, ...]
    order: str
    """What says which version is newer; 'arrival' where nothing does."""
    refresh_mode: str
    schedule: str
    retention_days: int
    freshness_hours: int
    expected_records_per_day: int
    authoritative_for: tuple[str, ...]
    known_issues: tuple[str, ...]
    pii_fields: tuple[str, ...]
    seen: Seen | None = field(default=None)
    """None before the first load."""


def catalogue(
    specs: Mapping[str, StreamSpec],
    connection: duckdb.DuckDBPyConnection | None = None,
    *,
    as_of: dt.datetime | None = None,
) -> list[CatalogueRow]:
    """One row per stream; without a warehouse only what is declared.

    Args:
        specs: The declared streams.
        connection: An open warehouse, if there is one.
        as_of: The time at which a stream is fresh or stale; default its last load.
            System streams are never stale: nothing may be due.
    """
    seen = {} if connection is None else _seen(specs, connection, as_of)
    return [_row(spec, seen.get(name)) for name, spec in specs.items()]


def _row(spec: StreamSpec, seen: Seen | None) -> CatalogueRow:
    return CatalogueRow(
        stream=spec.name,
        source=f"{spec.source_system} {spec.source_object}",
        description=spec.description,
        category=spec.category,
        format=spec.connection.format,
        key=spec.primary_key,
        order="arrival" if spec.is_arrival_ordered else str(spec.order_field),
        refresh_mode=spec.refresh_mode,
        schedule=spec.schedule,
        retention_days=spec.retention_days,
        freshness_hours=spec.freshness_hours,
        expected_records_per_day=spec.expected_records_per_day,
        authoritative_for=spec.authoritative_for,
        known_issues=spec.known_issues,
        pii_fields=tuple(name for name, column in spec.fields.items() if column.pii),
        seen=seen,
    )


@dataclass(frozen=True)
class _Loaded:
    at: dt.datetime
    files: int
    unreadable_files: int


def _seen(
    specs: Mapping[str, StreamSpec],
    connection: duckdb.DuckDBPyConnection,
    as_of: dt.datetime | None,
) -> dict[str, Seen]:
    loads = connection.execute(
        """
        select stream, max(started_at), sum(files)::bigint,
            sum(unreadable_files)::bigint
        from ops.load group by stream
        """
    ).fetchall()
    refused: dict[str, Counter[str]] = defaultdict(Counter)
    for count in quarantine.counts(connection):
        refused[count.stream][count.field or ""] += count.records
    return {
        stream: _seen_of(
            connection, specs[stream], _Loaded(*loaded), refused[stream], as_of
        )
        for stream, *loaded in loads
        if stream in specs
    }


def _seen_of(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    loaded: _Loaded,
    refused: Mapping[str, int],
    as_of: dt.datetime | None,
) -> Seen:
    nulls = ", ".join(
        f"avg((coalesce(trim({quoted(name)}::varchar), '') = '')::integer) "
        "filter (not _is_deleted)"
        for name in spec.fields
    )
    # What we write ourselves bears the time of day, however the clock is pinned.
    now = loaded.at if spec.is_system or as_of is None else as_of
    row = connection.execute(
        f"""
        with newest as (
            select max(_modified_at) as modified_at from {table_name(spec)}
            where _modified_at <= ?
        )
        select count(*) filter (not _is_deleted), count(*) filter (_is_deleted),
            any_value(newest.modified_at),
            count(*) filter (
                _modified_at > newest.modified_at - interval 30 day
                and _modified_at <= newest.modified_at
            ) / 30.0,
            {nulls}
        from {table_name(spec)} cross join newest
        """,
        [now],
    ).fetchone()
    records, deleted, newest_at, per_day, *shares = row or (0, 0, None, 0.0)
    empty = {
        name: share for name, share in zip(spec.fields, shares, strict=True) if share
    }
    emptiest = sorted(empty, key=lambda name: -empty[name])[:EMPTIEST]
    allowed = dt.timedelta(hours=spec.freshness_hours)
    return Seen(
        records=records,
        deleted=deleted,
        files=loaded.files,
        unreadable_files=loaded.unreadable_files,
        last_load_at=loaded.at,
        newest_at=newest_at,
        records_per_day=per_day,
        # Nobody owes us receipts of deliveries that were not due.
        is_stale=not spec.is_system
        and (newest_at is None or now - newest_at > allowed),
        quarantined=refused,
        null_shares={name: round(empty[name], 3) for name in emptiest},
    )
