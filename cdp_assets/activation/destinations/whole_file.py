"""A batch of changes as one file: CSV, NDJSON or Parquet, complete before it is moved.

The file is named after the batch's first and last sequence and a hash of its keys, so
the batch again is the same file again, wherever it is put. Each row carries its
idempotency key: whoever has fetched the first copy recognises the second.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from cdp_assets.activation.destination_spec import Filed
from cdp_assets.activation.destinations.protocol import Batch
from cdp_assets.declarations import quoted

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


@contextlib.contextmanager
def written(batch: Batch, spec: Filed, folder: Path) -> Iterator[Path]:
    """The batch as a file that bears its name, for the block.

    Args:
        batch: The changes, and the fields of their payloads.
        spec: The format.
        folder: A folder of this machine; the file lies in a hidden one under it.
    """
    # Payloads are personal data: until the file is moved it lies in a folder of the
    # owner's only. What a killed process left there goes with the next file.
    workshop = folder / f".writing-{batch.activation}"
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(parents=True, mode=0o700)
    try:
        file = workshop / f"{batch.activation}-{batch.name}.{spec.format}"
        _write(batch, file, spec)
        yield file
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _write(batch: Batch, path: Path, spec: Filed) -> None:
    """Turn payloads back into typed columns, and write them in sequence order."""
    import duckdb
    import pyarrow as pa

    changes = pa.table(
        {
            "sequence": [change.sequence for change in batch.changes],
            "idempotency_key": [change.idempotency_key for change in batch.changes],
            "operation": [change.operation for change in batch.changes],
            "unified_individual_id": [
                change.unified_individual_id for change in batch.changes
            ],
            "payload": [change.payload for change in batch.changes],
        }
    )
    fields = ", ".join(f"'{name}', '{kind}'" for name, kind in batch.fields)
    columns = ", ".join(
        _column(f"fields.{quoted(name)}", name, kind, spec)
        for name, kind in batch.fields
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("change", changes)
        rows = connection.sql(
            f"""
            select idempotency_key, operation, unified_individual_id, {columns}
            from (
                select *, json_transform(payload, json_object({fields})) as fields
                from change
            )
            order by sequence
            """
        )
        if spec.format == "csv":
            rows.write_csv(str(path), header=True)
        elif spec.format == "ndjson":
            rows.create_view("written")
            name = str(path).replace("'", "''")
            connection.execute(f"copy written to '{name}' (format json)")
        else:
            rows.write_parquet(str(path), compression="zstd")


def _column(value: str, name: str, kind: str, spec: Filed) -> str:
    """The column of a field; for spreadsheets with an apostrophe before a formula."""
    if not spec.for_spreadsheets or kind not in ("VARCHAR", "JSON"):
        return value
    return (
        rf"case when regexp_matches({value}::varchar, '^[=+\-@\t\r\n]') "
        f"then chr(39) || {value} else {value}::varchar end as {quoted(name)}"
    )
