"""What belongs in a backup: by who writes it, so a new table is in it by itself."""

import contextlib
import sqlite3
from pathlib import Path

import duckdb

from cdp_assets.operations.manifest import SavedSequence
from cdp_assets.paths import Paths
from cdp_assets.streams import landing
from cdp_assets.streams.arrivals import fingerprint

# The schemas that our own stages write, and the one table of theirs in a schema that
# they share with dbt.
SCHEMAS = ("ops", "dlo", "identity", "segments", "activation", "governance")
SHARED = ("reference.phone",)
# What tells dbt that a table need not be built in full: not so after a restore.
EMPTIED = ("ops.model_state",)


def saved_tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Schema, name and definition of every table that a backup holds."""
    return connection.execute(
        """
        select schema_name, table_name, sql from duckdb_tables()
        where database_name = current_database() and not temporary and (
            list_contains($schemas, schema_name)
            or list_contains($shared, schema_name || '.' || table_name)
        )
        order by schema_name, table_name
        """,
        {"schemas": list(SCHEMAS), "shared": list(SHARED)},
    ).fetchall()


def unseen_files(
    connection: duckdb.DuckDBPyConnection, paths: Paths, stream: str
) -> list[Path]:
    """The landed files whose content no load has seen.

    Of a warehouse of any version: a backup is made before it is migrated.
    """
    seen = {
        content[:16]
        for (content,) in connection.execute(
            "select content_sha256 from ops.landed_file where stream = ?", [stream]
        ).fetchall()
    }
    found = []
    for path in landing.landed(paths, stream):
        # One that a load has just taken away is no longer waiting.
        with contextlib.suppress(FileNotFoundError):
            if fingerprint(path) not in seen:
                found.append(path)
    return found


def outbox_rows(outbox: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table of the outbox has."""
    names = outbox.execute(
        """
        select name from sqlite_master
        where type = 'table' and name not like 'sqlite%' order by name
        """
    ).fetchall()
    return {
        name: int(outbox.execute(f'select count(*) from "{name}"').fetchone()[0])
        for (name,) in names
    }


def migration_of(connection: duckdb.DuckDBPyConnection) -> int:
    """The last migration that the warehouse has seen."""
    (version,) = connection.execute(
        "select max(version) from ops.migration"
    ).fetchone() or (0,)
    return int(version)


def schemas_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every schema, empty ones too."""
    found = connection.execute(
        """
        select schema_name from duckdb_schemas()
        where database_name = current_database() and not internal order by 1
        """
    ).fetchall()
    return [name for (name,) in found]


def sequences_of(connection: duckdb.DuckDBPyConnection) -> list[SavedSequence]:
    """Every sequence with the number that it gives next."""
    # last_value is null, the last or the next number, by how the file was opened; the
    # definition always starts with the next.
    found = connection.execute(
        r"""
        select schema_name, sequence_name, regexp_extract(sql, 'START (\d+)', 1)::bigint
        from duckdb_sequences() where database_name = current_database() order by 1, 2
        """
    ).fetchall()
    return [SavedSequence(schema_name=s, name=n, next_value=v) for s, n, v in found]
