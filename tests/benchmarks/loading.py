"""Files through the inbox into a DLO table, beside DuckDB's own read of the same file.

``python -m tests.benchmarks.loading 5000000`` makes a file of that many contacts as
CSV, NDJSON and Parquet (not counted), then for each, in processes of their own: has
DuckDB read it into a table of the declared types in a database file; and adopts it from
the inbox and loads it. Printed are seconds, processor seconds, peak memory, the ratio
of the seconds, and where the load's time went.

DuckDB's own read refuses the whole file for one bad value, knows no line numbers, keeps
no ledger and folds nothing: the ratio is what all that costs.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.paths import PROJECT, Paths
from cdp_assets.streams.declared import SQL_TYPES
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import Warehouse, utc_now
from tests.benchmarks.stages import peak_megabytes

FORMATS = ("csv", "ndjson", "parquet")
FIELDS = {
    "Id": {"type": "string", "required": True},
    "FirstName": "string",
    "LastName": "string",
    "Email": "string",
    "Phone": "string",
    "Street": "string",
    "City": "string",
    "Country": "string",
    "Birthdate": "date",
    "Points": "integer",
    "Balance": "number",
    "CreatedDate": "timestamp",
    "SystemModstamp": {"type": "timestamp", "required": True},
    "IsDeleted": "boolean",
}
MADE = """
    select printf('003%015d', i) as Id, 'First' || (i * 7919 % 5003) as FirstName,
        'Last' || (i * 104729 % 20011) as LastName,
        'person' || i || '@example' || (i % 97) || '.com' as Email,
        printf('+49 30 %08d', i * 31 % 100000000) as Phone,
        (i % 120) || ' Long Street, Floor ' || (i % 9) as Street,
        'City ' || (i % 3001) as City, 'DE' as Country,
        date '1950-01-01' + (i % 20000)::integer as Birthdate, i % 100000 as Points,
        (i % 1000000 / 100)::decimal(18,4) as Balance,
        timestamp '2020-01-01' + to_seconds(i % 100000000) as CreatedDate,
        timestamp '2026-01-01' + to_seconds(i % 10000000) as SystemModstamp,
        i % 50 = 0 as IsDeleted
    from range(?) as numbers(i)
"""
WRITTEN = {"csv": "csv, header", "ndjson": "json", "parquet": "parquet"}


def contacts(format_: str) -> StreamSpec:
    """The stream, in one of the formats."""
    return StreamSpec.model_validate(
        {
            "name": "contact",
            "source_system": "benchmark",
            "source_object": "Contact",
            "description": "Contacts.",
            "connection": {"format": format_},
            "category": "profile",
            "primary_key": ["Id"],
            "modified_at": "SystemModstamp",
            "deleted_flag": "IsDeleted",
            "refresh_mode": "upsert",
            "schedule": "0 * * * *",
            "retention_days": 30,
            "freshness_hours": 24,
            "expected_records_per_day": 1,
            "fields": FIELDS,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=5_000_000)
    parser.add_argument("--formats", nargs="*", default=FORMATS, choices=FORMATS)
    parser.add_argument("--files", type=int, default=1, help="split into so many")
    options = parser.parse_args()
    home = Path(os.environ.get("CDP_BENCHMARK") or PROJECT / "data" / "benchmark")
    home = home / f"loading-{options.rows}"
    figures = []
    for format_ in options.formats:
        shutil.rmtree(home, ignore_errors=True)
        make(home / "inbox" / "contact", format_, options.rows, options.files)
        floor = child("floor", home, format_)
        ours = child("load", home, format_)
        figures.append({"format": format_, "rows": options.rows} | ours | floor)
        print(told(figures[-1]), flush=True)
    shutil.rmtree(home, ignore_errors=True)
    report = home.with_suffix(".json")
    report.write_text(json.dumps(figures, indent=1) + "\n")


def make(folder: Path, format_: str, rows: int, files: int) -> None:
    """The file, or as many as asked for, with the same rows."""
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(f"create table made as {MADE}", [rows])
        for part in range(files):
            connection.execute(
                f"copy (select * from made where rowid % {files} = {part}) "
                f"to '{folder / f'{part:05}.{format_}'}' (format {WRITTEN[format_]})"
            )


def child(work: str, home: Path, format_: str) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name, "--child", work, str(home), format_]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {f"{work}_{key}": value for key, value in json.loads(done.stdout).items()}


def floor(home: Path, format_: str) -> dict[str, Any]:
    """DuckDB's own read, into a table of the declared types."""
    columns = {
        name: SQL_TYPES[field.type] for name, field in contacts(format_).fields.items()
    }
    listed = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    files = f"'{home}/inbox/contact/*.{format_}'"
    read = {
        "csv": f"read_csv({files}, header = true, columns = {{{listed}}})",
        "ndjson": f"read_json({files}, columns = {{{listed}}}, "
        "format = 'newline_delimited')",
        "parquet": f"read_parquet({files})",
    }[format_]
    database = home / "floor.duckdb"
    with measured() as figures, duckdb.connect(str(database)) as connection:
        connection.execute(f"create table contact as select * from {read}")
        connection.execute("checkpoint")
    database.unlink()
    return figures


def load(home: Path, format_: str) -> dict[str, Any]:
    """Inbox to DLO, as a run does it."""
    from cdp_assets.streams import commit, fold, inbox, load

    spec, paths = contacts(format_), Paths(home)
    parts: dict[str, float] = {}
    # Every module that imported a function has a name of its own for it.
    places = {
        "scan": [(load, "scan")],
        "read and judge rows": [(load, "read_files")],
        "place": [(load, "place_rows")],
        "judge versions": [(fold, "_judge")],
        "write": [(fold, "_write")],
        "ledger": [(commit, "record_files"), (commit, "record_load")],
    }
    for part, functions in places.items():
        for module, name in functions:
            setattr(module, name, clocked(getattr(module, name), part, parts))
    with measured() as figures:
        begun = time.perf_counter()
        inbox.adopt(paths, {spec.name: spec}, min_age_seconds=0)
        parts["adopt"] = time.perf_counter() - begun
        with Warehouse(paths).writing("benchmark") as connection:
            loaded = load.load_waiting(connection, paths, spec, started_at=utc_now())
    inserted = loaded.inserted + loaded.deleted
    parts["commit and close"] = figures["seconds"] - sum(parts.values())
    return figures | {
        "inserted": inserted,
        "parts": {part: round(seconds, 2) for part, seconds in parts.items()},
    }


def clocked(
    work: Callable[..., Any], part: str, parts: dict[str, float]
) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            parts[part] = parts.get(part, 0.0) + time.perf_counter() - begun

    return timed


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Seconds, processor seconds and the process's peak memory in megabytes."""
    figures: dict[str, Any] = {}
    begun = time.perf_counter()
    yield figures
    figures["seconds"] = round(time.perf_counter() - begun, 2)
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures["cpu_seconds"] = round(used.ru_utime + used.ru_stime, 2)
    figures["peak_mb"] = peak_megabytes()


def told(figures: dict[str, Any]) -> str:
    ratio = figures["load_seconds"] / figures["floor_seconds"]
    parts = ", ".join(f"{part} {s}" for part, s in figures["load_parts"].items())
    ours, floor = (
        f"{figures[f'{work}_seconds']} s ({figures[f'{work}_cpu_seconds']} s of "
        f"processor, {figures[f'{work}_peak_mb']:,} MB)"
        for work in ("load", "floor")
    )
    return (
        f"{figures['rows']:,} {figures['format']} rows: {ours}; DuckDB's own read "
        f"{floor}; ratio {ratio:.2f}\n    {parts}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        name, folder, format_ = sys.argv[2:]
        print(json.dumps({"floor": floor, "load": load}[name](Path(folder), format_)))
    else:
        main()
