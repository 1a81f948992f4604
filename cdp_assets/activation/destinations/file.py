"""Files as a destination: CSV, NDJSON or Parquet, one per batch, complete or absent.

The file is named after the batch's first and last sequence and a hash of its keys, so
sending the batch again writes the same file again. Each row carries its idempotency
key: whoever has already fetched the first copy recognises the second.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from cdp_assets.activation.destination_spec import BatchLimit, FileSpec
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.declarations import quoted
from cdp_assets.durable import sync


class FileDestination:
    """Writes batches into a folder; readers see whole files only."""

    concurrency = 1
    interval: float | None = None
    # A full disk fails every file: three are enough to know.
    breaker_failures = 3

    def __init__(self, spec: FileSpec, folder: Path) -> None:
        """Remember where to write; the folder is made with the first file."""
        self.label = f"file:{spec.format}"
        self.batch = BatchLimit(rows=spec.rows_per_file)
        self._spec = spec
        self._format = spec.format
        self._folder = folder

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Write the batch; it is delivered once the file bears its name."""
        name = f"{batch.activation}-{batch.name}.{self._format}"
        # Payloads are personal data: until the file has its mode it lies in a folder of
        # the owner's only. What a killed process left there goes with the next file.
        workshop = self._folder / f".writing-{batch.activation}"
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir(parents=True, mode=0o700)
        try:
            written = workshop / name
            _write(batch, written, self._spec)
            written.chmod(0o640)
            sync(written)
            written.rename(self._folder / name)
            sync(self._folder)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
        return [
            Reply(change.idempotency_key, "delivered", name) for change in batch.changes
        ]

    def close(self) -> None:
        """Nothing stays open between batches."""


def _write(batch: Batch, path: Path, spec: FileSpec) -> None:
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


def _column(value: str, name: str, kind: str, spec: FileSpec) -> str:
    """The column of a field; for spreadsheets with an apostrophe before a formula."""
    if not spec.for_spreadsheets or kind not in ("VARCHAR", "JSON"):
        return value
    return (
        rf"case when regexp_matches({value}::varchar, '^[=+\-@\t\r\n]') "
        f"then chr(39) || {value} else {value}::varchar end as {quoted(name)}"
    )
