"""What the last whole run left behind, so that the next one can say what changed.

After a run that succeeded, ``last_run.json`` keeps a digest of every table, the
outbox's last sequence and a fingerprint of everything the run depended on: the
declarations, models and code, and the pinned clock. A run with the same fingerprint and
no waiting file has nothing to do.
"""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from cdp_assets.digests import digests
from cdp_assets.paths import DBT_PROJECT, PACKAGE, Paths

SCHEMAS = [
    "dlo",
    "reference",
    "dmo",
    "identity",
    "unified",
    "insights",
    "segments",
    "activation",
]
# Rows that a run adds about itself; everything else must not move.
ABOUT_RUNS = (
    "identity.run",
    "segments.evaluation",
    "activation.full_send",
    "activation.held_plan",
)
CODE = ("*.py", "*.yaml", "*.sql", "*.yml", "*.csv", "*.json")


@dataclass(frozen=True)
class Standing:
    """The state after a run: what it depended on, and what it made."""

    fingerprint: str
    tables: dict[str, str]
    outbox_sequence: int


def fingerprint(paths: Paths) -> str:
    """Hash everything but the data that a run's result depends on."""
    hashed = hashlib.sha256()
    for folder in (PACKAGE, DBT_PROJECT):
        for pattern in CODE:
            for path in sorted(folder.rglob(pattern)):
                inside = path.relative_to(folder).parts
                if not {"target", "logs", "__pycache__"} & set(inside):
                    hashed.update("/".join(inside).encode() + path.read_bytes())
    if paths.pinned_as_of.exists():
        hashed.update(paths.pinned_as_of.read_bytes())
    return hashed.hexdigest()


def standing(connection: duckdb.DuckDBPyConnection, paths: Paths) -> Standing:
    """Digest every table of the warehouse and look up the outbox's last sequence."""
    tables = digests(connection, SCHEMAS)
    for name in ABOUT_RUNS:
        tables.pop(name, None)
    return Standing(fingerprint(paths), tables, outbox_sequence(paths))


def outbox_sequence(paths: Paths) -> int:
    """The last sequence in the outbox; 0 where there is none yet."""
    if not paths.outbox.exists():
        return 0
    with closing(sqlite3.connect(paths.outbox)) as outbox:
        (sequence,) = outbox.execute(
            "select coalesce(max(sequence), 0) from outbox"
        ).fetchone()
    return int(sequence)


def remember(paths: Paths, now: Standing) -> None:
    """Keep ``now`` for the next run, by a rename so that it is never half written."""
    path = _file(paths)
    written = path.with_suffix(".tmp")
    written.write_text(json.dumps(asdict(now), indent=1), encoding="utf-8")
    written.rename(path)


def forget(paths: Paths) -> None:
    """A run began: until it ends, nothing may be taken for its result."""
    _file(paths).unlink(missing_ok=True)


def recall(paths: Paths) -> Standing | None:
    """The state after the last whole run, or None when it did not end well."""
    path = _file(paths)
    if not path.exists():
        return None
    return Standing(**json.loads(path.read_text(encoding="utf-8")))


def differences(before: Standing, after: Standing) -> list[str]:
    """The tables that differ between two states, in words; empty when none does."""
    names = sorted(before.tables.keys() | after.tables.keys())
    changed = [
        f"{name}: {_rows(before, name)} rows, now {_rows(after, name)}"
        for name in names
        if before.tables.get(name) != after.tables.get(name)
    ]
    if before.outbox_sequence != after.outbox_sequence:
        changed.append(
            f"outbox sequence: {before.outbox_sequence}, now {after.outbox_sequence}"
        )
    return changed


def _rows(state: Standing, name: str) -> str:
    return state.tables.get(name, "no").split("-")[0]


def _file(paths: Paths) -> Path:
    return paths.root / "last_run.json"
