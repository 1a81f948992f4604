"""Files as a destination: CSV, NDJSON or Parquet, one per batch, complete or absent.

The file is named after the batch's first and last sequence and a hash of its keys, so
sending the batch again writes the same file again. Each row carries its idempotency
key: whoever has already fetched the first copy recognises the second.
"""

from collections.abc import Sequence
from pathlib import Path

from cdp_assets.activation.destination_spec import BatchLimit, FileSpec
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.destinations.whole_file import written
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
        self._folder = folder

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Write the batch; it is delivered once the file bears its name."""
        with written(batch, self._spec, self._folder) as file:
            file.chmod(0o640)
            sync(file)
            file.rename(self._folder / file.name)
            sync(self._folder)
        return [
            Reply(change.idempotency_key, "delivered", file.name)
            for change in batch.changes
        ]

    def close(self) -> None:
        """Nothing stays open between batches."""
