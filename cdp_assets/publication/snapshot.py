"""The analysts' snapshot: the warehouse's tables as Parquet, behind one pointer.

serving/v7/dmo/individual.parquet   a table; if it is as in v6, the same file, and
                                    of a few changes only those (`table_files`)
serving/v7/catalogue.duckdb         a view per table, for DuckDB and for dbt; what is a
                                    view in the warehouse is one here (`portable_views`)
serving/v7/manifest.json            dbt's, so that analysts defer to what is here
serving/v7/snapshot.json            what each table's file was written from
serving/current -> v7               what readers follow
"""

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.publication import versions
from cdp_assets.publication.portable_views import portable_views
from cdp_assets.publication.table_files import TableFiles, dotted, in_quotes
from cdp_assets.publication.table_writing import write_changes, write_whole

# What analysts build on. Raw records stay in the warehouse: they hold every personal
# value the sources ever sent, and `dmo` has what is used of them. No table that gains
# a row with every run, or no two snapshots would ever be equal.
SCHEMAS = ("article", "dmo", "insights", "reference", "segments", "unified")
IDENTITY = (
    "reconciliation_rule",
    "redirect",
    "ruleset_link",
    "unified_link_account",
    "unified_link_individual",
)
CATALOGUE = "catalogue.duckdb"
CONTENTS = "snapshot.json"
MANIFEST = "manifest.json"

# A view's text that names a day, as one does that asks what is so by now.
_DATED = re.compile(r"'\d{4}-\d{2}-\d{2}")

# The database that dbt's relations are in when they are in the warehouse.
WAREHOUSE = "warehouse"


@dataclass(frozen=True)
class SnapshotResult:
    """The version that readers see now, and what was written for it."""

    version: int
    created: bool
    written: tuple[str, ...]
    """Tables written whole."""
    amended: tuple[str, ...]
    """Tables of which the changed rows were written."""
    linked: int
    rows: int


def catalogue_path(paths: Paths) -> Path:
    """The DuckDB file of views that readers open; it follows the pointer."""
    return paths.serving / "current" / CATALOGUE


def publish_snapshot(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    manifest: Path = DBT_PROJECT / "target" / MANIFEST,
) -> SnapshotResult:
    """Publish the warehouse as a new version, if anything differs from the current one.

    One publication at a time, as everything that reads the warehouse to write.

    Args:
        connection: An open warehouse; reading is enough.
        paths: The runtime folder.
        manifest: The dbt manifest of the target `warehouse`; left out if there is none.
    """
    live = versions.current(paths.serving)
    before = _contents(live)
    names = _tables(connection)
    views = portable_views(connection, names)
    tables = {name: _signature(connection, name) for name in names if name not in views}
    models = _warehouse_models(manifest)
    rows = sum(table["rows"] for table in tables.values())
    stale = live is not None and any(
        TableFiles(live, name).is_stale() for name in tables
    )
    contents = {
        "root": str(live),
        "tables": tables,
        "views": {
            # The instant that a run took as now stands in the text, and changes no row.
            name: _signature(connection, name) if _DATED.search(select) else select
            for name, select in views.items()
        },
        "models": models,
    }
    if live and before == contents and not stale:
        return SnapshotResult(versions.number(live), False, (), (), len(tables), rows)
    home = versions.begin(paths.serving)
    written, amended = [], []
    for name, table in tables.items():
        files = TableFiles(home, name)
        old = before.get("tables", {}).get(name)
        earlier = TableFiles(live, name) if live and old else None
        if earlier and old == table and not earlier.is_stale() and files.link(earlier):
            continue
        if earlier and write_changes(connection, files, earlier):
            amended.append(name)
        else:
            write_whole(connection, files)
            written.append(name)
    _catalogue(home, list(tables), views)
    if models:
        (home / MANIFEST).write_bytes(manifest.read_bytes())
    contents["root"] = str(home)
    (home / CONTENTS).write_text(json.dumps(contents, indent=1, sort_keys=True))
    versions.show(home)
    linked = len(tables) - len(written) - len(amended)
    return SnapshotResult(
        versions.number(home), True, tuple(written), tuple(amended), linked, rows
    )


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        """
        select table_schema || '.' || table_name from information_schema.tables
        where table_catalog = current_catalog() and (
            list_contains($schemas, table_schema)
            or (table_schema = 'identity' and list_contains($identity, table_name))
        ) order by 1
        """,
        {"schemas": list(SCHEMAS), "identity": list(IDENTITY)},
    ).fetchall()
    return [name for (name,) in found]


def _signature(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
    """What must be equal for a table's file to be used again.

    DuckDB's own hash, six times as fast as the MD5 of `digests`: another version of
    DuckDB may hash differently, and then every table is written once more.
    """
    columns = connection.execute(f"describe {dotted(table)}").fetchall()
    names = ", ".join(in_quotes(name) for name, *_ in columns)
    found = connection.execute(
        f"""
        select count(*), sum(hash({names})::hugeint)::varchar, bit_xor(hash({names}))
        from {dotted(table)}
        """
    ).fetchone()
    rows, total, parity = found or (0, None, None)
    return {
        "columns": [f"{name} {kind}" for name, kind, *_ in columns],
        "content": f"{total}-{parity}",
        "rows": rows,
    }


def _catalogue(home: Path, tables: list[str], views: dict[str, str]) -> None:
    """Write a view per table, and those that are views of them.

    Its views hold whole paths, and the contents name the folder: a snapshot that was
    moved is made anew.
    """
    selects = {name: TableFiles(home, name).select() for name in tables} | views
    with contextlib.closing(duckdb.connect(str(home / CATALOGUE))) as catalogue:
        for name, select in selects.items():
            schema = name.split(".")[0]
            catalogue.execute(f"create schema if not exists {quoted(schema)}")
            catalogue.execute(f"create view {dotted(name)} as {select}")


def _warehouse_models(manifest: Path) -> str | None:
    """A hash of the models as deployed, apart from when they were parsed.

    None if there is no manifest, or if it is another target's: analysts would then
    defer to relations that nobody has.
    """
    if not manifest.exists():
        return None
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    models = sorted(
        (name, node["relation_name"], node["checksum"]["checksum"])
        for name, node in nodes.items()
        if node.get("relation_name") and node["resource_type"] in ("model", "seed")
    )
    if not models or any(not m[1].startswith(f'"{WAREHOUSE}".') for m in models):
        return None
    return hashlib.sha256(json.dumps(models).encode()).hexdigest()


def _contents(version: Path | None) -> dict[str, Any]:
    if version is None or not (version / CONTENTS).exists():
        return {}
    return dict(json.loads((version / CONTENTS).read_text(encoding="utf-8")))
