"""Which way a run goes: only what changed, or everybody, and why.

Both end with the same people; ``identity.run`` and the asset say which was taken. The
mark of what was resolved last is the promoted state itself (``identity.node`` and the
versions of the last promoted run), so what a held run saw is seen again.
"""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from cdp_assets.identity.compared import is_made
from cdp_assets.identity.folding import LETTERS

# From this share on the increment costs as much as resolving everybody (seen: a fifth
# of 100,000 records takes three quarters of the full run's processor seconds).
_LARGEST_SHARE = 0.2


class Versions(NamedTuple):
    """What decides who is the same, beside the records."""

    ruleset: str
    model: str | None
    program: str


@dataclass(frozen=True)
class Way:
    """How one object is resolved."""

    full: bool
    reason: str
    changed: int
    """Records of which something that is compared changed, those gone included."""

    @property
    def name(self) -> str:
        """``full`` or ``incremental``, as ``identity.run`` says it."""
        return "full" if self.full else "incremental"


def must_be_full(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    versions: Versions,
    *,
    asked: bool,
) -> str | None:
    """Why everybody has to be resolved whatever changed, if so."""
    if asked:
        return "a full run was asked for"
    last = connection.execute(
        """
        select ruleset_version, model_version, program_version from identity.run
        where object = ? and status = 'promoted' order by run desc limit 1
        """,
        [object_name],
    ).fetchall()
    if not last:
        return "nothing was promoted before"
    for what, old, new in zip(
        ("ruleset", "model", "program or nicknames"), last[0], versions, strict=True
    ):
        if old != new:
            return f"another {what} than in the last promoted run"
    if not _is_kept(connection, object_name):
        return "what was compared last is not kept"
    return None


def judge_share(
    connection: duckdb.DuckDBPyConnection, object_name: str
) -> tuple[bool, str, int]:
    """Whether so much changed that a full run is no dearer, and how much."""
    changed, known = connection.execute(
        """
        select
            (select count(*) from changed_node),
            (select count(*) from identity.node where object = ?)
        """,
        [object_name],
    ).fetchall()[0]
    share = changed / max(known, 1)
    return share > _LARGEST_SHARE, f"{changed} of {known} records changed", changed


def program_version(connection: duckdb.DuckDBPyConnection) -> str:
    """Changes with whatever computes features and evidence, nicknames included.

    DuckDB's version is in it because its hash function may differ between two.
    """
    nicknames = connection.execute(
        "select string_agg(name || '=' || canonical, ';' order by name) "
        "from node_nickname"
    ).fetchall()[0][0]
    text = f"{_source_digest()} {duckdb.__version__} {LETTERS} {nicknames}"
    return "program-" + hashlib.sha256(text.encode()).hexdigest()[:12]


@functools.cache
def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.suffix in (".py", ".sql"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _is_kept(connection: duckdb.DuckDBPyConnection, object_name: str) -> bool:
    """Whether the compared form of every promoted node is there."""
    if not is_made(connection, object_name):
        return False
    kept, nodes = connection.execute(
        f"""
        select
            (select count(*) from identity.matchable_{object_name}),
            (select count(*) from identity.node where object = ?)
        """,
        [object_name],
    ).fetchall()[0]
    return bool(kept == nodes)
