"""Waves of random changes to what a warehouse holds, as its sources would send them.

Records are taken from the DLO tables, get another record's value in one field, a later
modified time, and go back as NDJSON files; some are sent as new keys, some as deleted,
some in a version that is too old to count.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.paths import Paths
from cdp_assets.streams.dlo import ensure_tables, table_name
from cdp_assets.streams.landing import land
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import Warehouse, utc_now

# What a source may say about the life of a record, and how often of 20.
FATES = ["edited"] * 13 + ["new"] * 3 + ["deleted"] * 3 + ["stale"]


@dataclass(frozen=True)
class Wave:
    """How many records of each stream were sent, and how many rows that changed."""

    sent: dict[str, int]
    changed: int


def sources() -> dict[str, StreamSpec]:
    """The streams that a source fills."""
    return {n: spec for n, spec in load_streams().items() if not spec.is_system}


def load_everything(paths: Paths) -> int:
    """Load what has landed; returns the number of rows changed."""
    with Warehouse(paths).writing("loading changes") as connection:
        ensure_tables(connection, sources().values())
        return sum(
            load_waiting(connection, paths, spec, started_at=utc_now()).changed
            for spec in sources().values()
        )


def make_wave(paths: Paths, number: int, records: int, seed: int) -> Wave:
    """Land one wave of changes and some erasures, and load it; see ``land_wave``."""
    sent = land_wave(paths, number, dict.fromkeys(sources(), records), seed)
    with Warehouse(paths).writing("erasures") as connection:
        _erase_some(connection, number, random.Random(seed * 2000 + number))
    return Wave(sent, load_everything(paths))


def land_wave(
    paths: Paths, number: int, records: Mapping[str, int], seed: int
) -> dict[str, int]:
    """Land changed records, a file per stream.

    Args:
        paths: The runtime folder, with something loaded.
        number: Of the wave; each is an hour after the one before.
        records: How many of each stream.
        seed: Another seed, other changes.

    Returns:
        How many there were of each stream.
    """
    chance = random.Random(seed * 1000 + number)
    sent = {}
    with Warehouse(paths).writing("a wave of changes") as connection:
        for name, wanted in records.items():
            file = paths.root / f"wave-{number}-{name}.ndjson"
            spec = sources()[name]
            sent[name] = _write(connection, spec, number, wanted, chance, file)
            land(paths, name, file.name, file)
            file.unlink()
    return sent


def _write(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    number: int,
    records: int,
    chance: random.Random,
    file: Path,
) -> int:
    """Write the changed records of one stream; returns how many."""
    # Not the key, nor what is set apart below.
    fixed = {*spec.primary_key, spec.order_field, spec.deleted_flag}
    fields = [name for name in spec.fields if name not in fixed]
    edits = ", ".join(
        f"case when field = {position} and other.{quoted(name)} is not null "
        f"then other.{quoted(name)} else mine.{quoted(name)} end as {quoted(name)}"
        for position, name in enumerate(fields)
    )
    rows = connection.execute(
        f"""
        create or replace temp table wave as
        with picked as (
            select _record_id from {table_name(spec)} where not _is_deleted
            order by hash(_record_id, $salt) limit $records
        ),
        chosen as (
            select *, row_number() over (order by hash(_record_id, $salt)) as place
            from {table_name(spec)} where _record_id in (from picked)
        )
        select {edits}, {_kept(spec, number)}
        from (
            select *, ($fates)[1 + (hash(_record_id, $salt, 1) % 20)::int] as fate,
                hash(_record_id, $salt, 2) % {len(fields)} as field
            from chosen
        ) as mine
        inner join chosen as other
            on other.place = 1 + mine.place % (select max(place) from chosen)
        """,
        {"salt": chance.randrange(2**31), "records": records, "fates": FATES},
    ).fetchone()
    connection.execute(f"copy wave to '{file}' (format json)")
    connection.execute("drop table wave")
    return int(rows[0]) if rows else 0


def _kept(spec: StreamSpec, number: int) -> str:
    """The key, the time and the delete flag of a changed record."""
    parts = []
    for name in spec.primary_key:
        mine = f"mine.{quoted(name)}"
        new = f"{mine} || '-{number}'" if _is_text(spec, name) else mine
        parts.append(f"case when fate = 'new' then {new} else {mine} end as {name}")
    if spec.order_field and spec.order_field not in spec.primary_key:
        at = f"mine.{quoted(spec.order_field)}"
        day = spec.fields[spec.order_field].type == "date"
        # Not days to come: those would be refused.
        step = f"interval {min(number, 20)} day" if day else f"interval {number} hour"
        parts.append(
            f"case when fate = 'stale' then {at} - interval 9 day else {at} + {step} "
            f"end{'::date' if day else ''} as {quoted(spec.order_field)}"
        )
    if spec.deleted_flag:
        flag = f"mine.{quoted(spec.deleted_flag)}"
        gone = "'X'" if _is_text(spec, spec.deleted_flag) else "true"
        parts.append(
            f"case when fate = 'deleted' then {gone} else {flag} end "
            f"as {quoted(spec.deleted_flag)}"
        )
    return ", ".join(parts)


def _is_text(spec: StreamSpec, name: str) -> bool:
    return spec.fields[name].type == "string"


def _erase_some(
    connection: duckdb.DuckDBPyConnection, number: int, chance: random.Random
) -> None:
    """Leave tombstones as an erasure does, also in streams that send no deletes."""
    for name, spec in sources().items():
        if chance.random() < 0.5:
            continue
        salt = chance.randrange(2**31)
        victims = f"""
            select _record_id from {table_name(spec)}
            where not _is_deleted order by hash(_record_id, {salt}) limit 2
        """
        connection.execute(
            f"""
            insert into ops.load (load_seq, stream, started_at, finished_at, rows_in,
                inserted, updated, deleted, unchanged, superseded, quarantined, files,
                unreadable_files, notes)
            select max(load_seq) + 1, '{name}', now(), now(), 0, 0, 0, 2, 0, 0, 0, 0, 0,
                ['erased by wave {number}']
            from ops.load;
            update {table_name(spec)} set _is_deleted = true,
                _load_seq = (select max(load_seq) from ops.load)
            where _record_id in ({victims});
            """
        )
