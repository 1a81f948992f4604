"""The floor: one hand-written script from the same files to the same tables.

What somebody who knows DuckDB and these sources would write for once: no ledger, no
line numbers, no reasons for what is refused, nothing incremental, no tests, no restart.
It makes the tables of ``TABLES`` digest for digest, all rows and all columns but those
that say how a row arrived; floor.sql holds what follows loading. Who is whom it takes
from the graph's links: a second Splink would measure nothing, and a simpler matcher
would give other people.

``python -m tests.benchmarks.floor SAMPLE FOLDER`` reads the sample and the links of the
graph's warehouse in FOLDER, writes ``floor.duckdb`` there and prints its seconds.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import yaml

from cdp_assets.digests import ARRIVAL, digest
from cdp_assets.paths import PACKAGE, Paths
from tests.benchmarks.stages import peak_megabytes

STREAMS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((PACKAGE / "streams").glob("*.yaml"))
    if not path.stem.startswith("system_")
}
TYPES = {
    "string": "varchar",
    "integer": "bigint",
    "number": "decimal(18,4)",
    "decimal8": "decimal(18,8)",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "json": "json",
}
TABLES = (
    *(f"dlo.{name}" for name in STREAMS),
    "dmo.individual",
    "dmo.contact_point_email",
    "dmo.sales_order",
    "unified.unified_individual",
    "insights.lifetime_value",
    "insights.engagement_score",
)
NOT_COMPARED = (*ARRIVAL, "_row_hash")


def main(sample: str, folder: str) -> None:
    paths = Paths(Path(folder))
    target = paths.root / "floor.duckdb"
    target.unlink(missing_ok=True)
    parts: dict[str, float] = {}
    spent = time.process_time()
    with duckdb.connect(str(target)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(
            "create schema dlo; create schema dmo; create schema unified"
        )
        connection.execute("create schema insights")

        def timed(name: str, work: Callable[[], None]) -> None:
            begun = time.perf_counter()
            work()
            parts[name] = round(time.perf_counter() - begun, 3)

        for name, spec in STREAMS.items():
            timed(f"dlo.{name}", lambda n=name, s=spec: load(connection, n, s, sample))
        fetch_links(connection, paths)
        connection.execute("set variable as_of = ?::timestamp", [as_of(sample)])
        for table, sql in statements().items():
            timed(table, lambda query=sql: connection.execute(query))
    seconds, peak = sum(parts.values()), peak_megabytes()
    print(
        json.dumps(
            {
                "seconds": round(seconds, 2),
                "cpu_seconds": round(time.process_time() - spent, 2),
                "peak_mb": peak,
                "different": different(paths),
                "parts": parts,
            }
        )
    )


def statements() -> dict[str, str]:
    """What follows loading, by the table it makes."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    macros, *parts = re.split(r"^-- (\w+\.\w+)$", script, flags=re.MULTILINE)
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    found[parts[0]] = macros + found[parts[0]]
    return found


def as_of(sample: str) -> str:
    made = json.loads((Path(sample) / "manifest.json").read_text())["as_of"]
    return str(made)[:19].replace("T", " ")


def load(
    connection: duckdb.DuckDBPyConnection, name: str, spec: dict[str, Any], sample: str
) -> None:
    """One stream: read, cast, drop what cannot be cast, keep the newest of each key."""
    types = {
        field: declared["type"] if isinstance(declared, dict) else declared
        for field, declared in spec["fields"].items()
    }
    needed = set(spec["primary_key"]) | {
        field
        for field, declared in spec["fields"].items()
        if isinstance(declared, dict) and declared.get("required")
    }
    refused = [f"coalesce(trim(\"{field}\"), '') = ''" for field in sorted(needed)]
    refused += [
        f"(trim(\"{field}\") <> '' and {cast(field, type_)} is null)"
        for field, type_ in types.items()
        if type_ not in ("string", "json")
    ]
    typed = ", ".join(f'{cast(f, type_)} as "{f}"' for f, type_ in types.items())
    key = " || '|' || ".join(f'"{part}"::varchar' for part in spec["primary_key"])
    order = spec.get("modified_at") or spec["event_time"]
    flag = spec.get("deleted_flag")
    gone = {None: "false", "boolean": f'"{flag}"', "string": f"\"{flag}\" = 'X'"}
    # Only where two versions are of the same instant does their content decide.
    content = ", ".join(
        hashed(field, types[field]) for field in sorted(types, key=str.lower)
    )
    connection.execute(
        f"""
        create table dlo.{name} as
        select *, '{name}:' || {key} as _record_id,
            "{order}"::timestamp as _modified_at,
            coalesce({gone[types.get(flag)]}, false) as _is_deleted,
            null::map(varchar, varchar) as _undeclared
        from (
            select {typed} from {read(name, spec, types, sample)}
            where not coalesce({" or ".join(refused)}, false)
        );
        create temp table repeated as
        select _record_id from dlo.{name} group by all having count(*) > 1;
        create temp table newest as
        select * from dlo.{name} semi join repeated using (_record_id)
        qualify 1 = row_number() over (
            partition by _record_id
            order by _modified_at desc, _is_deleted desc,
                md5(concat_ws(chr(31), {content})) desc
        );
        delete from dlo.{name} where _record_id in (from repeated);
        insert into dlo.{name} from newest;
        drop table repeated;
        drop table newest
        """
    )


def read(name: str, spec: dict[str, Any], types: dict[str, str], sample: str) -> str:
    """The files of a stream as a relation of text, and of JSON where it is nested."""
    files = f"'{sample}/{name}/*'"
    columns = ", ".join(
        f"'{field}': '{'json' if type_ == 'json' else 'varchar'}'"
        for field, type_ in types.items()
    )
    match spec["connection"]["format"]:
        case "csv":
            return f"read_csv({files}, all_varchar = true, header = true)"
        case "ndjson":
            return (
                f"read_json({files}, format = 'newline_delimited', "
                f"columns = {{{columns}}}, ignore_errors = true)"
            )
        case "json":
            path = spec["connection"]["record_path"]
            record = ", ".join(
                f'"{field}" {"json" if type_ == "json" else "varchar"}'
                for field, type_ in types.items()
            )
            return (
                f"(select unnest(row) from (select unnest({path}) as row from "
                f"read_json({files}, columns = {{'{path}': 'struct({record})[]'}}, "
                "maximum_object_size = 268435456)))"
            )
        case _:
            texts = ", ".join(f'"{field}"::varchar as "{field}"' for field in types)
            return f"(select {texts} from read_parquet({files}))"


def cast(field: str, type_: str) -> str:
    text = f'"{field}"'
    match type_:
        case "string":
            return text
        case "json":
            return f"case when {text}::varchar <> 'null' then {text} end"
        case "timestamp":
            # A cast to timestamp drops an offset, and one with a zone is slower.
            return (
                f"case when {text} like '%+__:__' or {text} like '%-__:__' "
                f"then try_cast({text} as timestamptz) at time zone 'UTC' "
                f"else try_cast({text} as timestamp) end"
            )
        case _:
            return f"try_cast(trim({text}) as {TYPES[type_]})"


def hashed(field: str, type_: str) -> str:
    text = f'"{field}"::varchar'
    if type_ == "timestamp":
        text = f'epoch_us("{field}")::varchar'
    return f"'{field.lower()}=' || {text}"


def fetch_links(connection: duckdb.DuckDBPyConnection, paths: Paths) -> None:
    """The graph's answer to who is whom, people and companies."""
    connection.execute(f"attach '{paths.warehouse}' as graph (read_only)")
    for table in ("unified_link_individual", "unified_link_account"):
        connection.execute(f"create temp table {table} as from graph.identity.{table}")
    connection.execute("detach graph")


def different(paths: Paths) -> list[str]:
    """The tables whose digests the graph and the floor do not share."""
    found = []
    with (
        duckdb.connect(str(paths.warehouse), read_only=True) as graph,
        duckdb.connect(str(paths.root / "floor.duckdb"), read_only=True) as script,
    ):
        for table in TABLES:
            if digest(graph, table, NOT_COMPARED) != digest(
                script, table, NOT_COMPARED
            ):
                found.append(table)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
