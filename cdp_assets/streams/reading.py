"""What is read how, and what came of reading it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cdp_assets.streams.scan import UnreadableError
from cdp_assets.streams.spec import StreamSpec

# What a producer other than the declared one lands: our API batches, compacted files.
_FORMATS = {".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}


@dataclass
class Reading:
    """What came of reading a batch of files into the stage."""

    refused: dict[int, str] = field(default_factory=dict)
    """Files of which nothing was staged, with the reason."""
    vanished: set[int] = field(default_factory=set)
    """Files that went away or changed meanwhile: for the next load."""
    first_lines: dict[int, int] = field(default_factory=dict)
    """The line of a file's first row, where not 1."""
    notes: Counter[str] = field(default_factory=Counter)
    """Remarks, with the number of files each is true of."""

    @contextmanager
    def refusing(self, number: int) -> Iterator[None]:
        """Refuse the file if reading it fails, and go on with the others."""
        try:
            yield
        except UnreadableError as error:
            self.refused[number] = str(error)
        except FileNotFoundError:
            self.refused[number] = "it went away while it was read"


def format_of(spec: StreamSpec, file: str) -> str:
    """The format of a landed file: by its suffix if that is plain, else as declared."""
    return _FORMATS.get(Path(file).suffix.lower(), spec.connection.format)


def encoding_of(spec: StreamSpec, file: str) -> str | None:
    """The encoding of a landed file; None for a binary format."""
    format_ = format_of(spec, file)
    if format_ == "parquet":
        return None
    return spec.connection.encoding if format_ == spec.connection.format else "utf-8"


def numbered(notes: Counter[str], files: int) -> Iterable[str]:
    """The remarks, with how many files each is true of unless of all."""
    for note, count in notes.items():
        yield note if count == files else f"{note} (in {count} of {files} files)"
