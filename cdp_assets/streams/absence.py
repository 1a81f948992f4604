"""The absence guard: a full extract that would delete too much is held, not applied.

A key absent from a full extract is a deletion, so an export that stopped half way
would delete half of the customers. Such a file is entered in the ledger as ``held``
with the reason; nothing of it is folded. An operator releases it, and the next load
applies it, or a newer extract takes its place.
"""

from dataclasses import dataclass

import duckdb

from cdp_assets.streams.dlo import table_name
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import GOOD


@dataclass(frozen=True)
class Held:
    """An extract that waits for a decision."""

    file: str
    reason: str


def reason_to_hold(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, sha256: str
) -> str | None:
    """Why the staged extract must not be applied; None if it may be.

    Args:
        connection: With a whole extract in the stage.
        spec: The stream.
        sha256: The extract's content: once released it is not held again.
    """
    live, absent, is_released = connection.execute(
        f"""
        select count(*), count(*) filter (
                _record_id not in (select record_id from stage where kind = {GOOD})
            ),
            exists(
                from ops.landed_file where stream = $stream
                    and content_sha256 = $content and outcome = 'released'
            )
        from {table_name(spec)} where not _is_deleted
        """,
        {"stream": spec.name, "content": sha256},
    ).fetchone() or (0, 0, False)
    allowed = max(spec.max_absent_records, spec.max_absent_share * live)
    if is_released or absent <= allowed:
        return None
    return (
        f"{absent:,} of {live:,} live records ({absent / live:.0%}) are absent from "
        f"this extract and would be deleted; at most {spec.max_absent_share:.0%} "
        f"may be (max_absent_share). `cdp stream release {spec.name}` applies it with "
        "the next load; a newer extract takes its place"
    )


def supersede_held(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> None:
    """A newer extract is here: those that were held can no longer be released."""
    connection.execute(
        """
        update ops.landed_file set outcome = 'replaced'
        where stream = ? and outcome = 'held'
        """,
        [spec.name],
    )


def held(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> Held | None:
    """The extract of the stream that waits for a decision; at most one does."""
    row = connection.execute(
        """
        select file, reason from ops.landed_file
        where stream = ? and outcome = 'held' and expired_at is null
        """,
        [spec.name],
    ).fetchone()
    return Held(*row) if row else None


def release(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> Held | None:
    """Let the next load apply the extract that is held; returns which it was."""
    found = held(connection, spec)
    connection.execute(
        """
        update ops.landed_file set outcome = 'released'
        where stream = ? and outcome = 'held'
        """,
        [spec.name],
    )
    return found
