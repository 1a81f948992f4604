"""The inbox: where people and partners drop files, and how they are adopted.

Nothing tells us that a dropped file is complete, so it is adopted when a
``<file>.done`` marker stands beside it, when it has not been written to for a while, or
when two looks found it the same. What cannot be adopted stays where it is and is
reported.
"""

import fnmatch
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from cdp_assets.paths import Paths
from cdp_assets.streams.landing import ChangedError, land_all
from cdp_assets.streams.spec import StreamSpec

MARKER = ".done"
# What is landed before any of it leaves the inbox: a crash copies so many once more.
_BATCH = 500

# Size and modification time in nanoseconds.
State = tuple[int, int]


@dataclass
class Adoption:
    """What one look at the inbox found."""

    adopted: dict[str, list[Path]] = field(default_factory=dict)
    """Landed files by stream."""
    unsettled: dict[str, State] = field(default_factory=dict)
    """Files that may still be growing; pass this to the next look."""
    refused: dict[str, str] = field(default_factory=dict)
    """What belongs to no stream, with the reason; it stays where it is."""


def adopt(
    paths: Paths,
    specs: Mapping[str, StreamSpec],
    *,
    min_age_seconds: float = 5.0,
    earlier: Mapping[str, State] | None = None,
    now: float | None = None,
) -> Adoption:
    """Move the complete files of the inbox into the landing zone, in name order.

    Args:
        paths: The runtime folder.
        specs: The declared streams.
        min_age_seconds: How long a file must have been left alone.
        earlier: ``unsettled`` of the look before: what is still the same is complete,
            whatever its clock says.
        now: The time in seconds since 1970; default the clock.
    """
    look = Adoption()
    clock = time.time() if now is None else now
    for folder, entries in groupby(_dropped(paths.inbox), key=itemgetter(0)):
        complete = []
        for _, path in entries:
            label = path.relative_to(paths.inbox).as_posix()
            refusal = _refusal(folder, path, specs)
            if refusal:
                look.refused[label] = refusal
                continue
            try:
                state = _state(path)
                marked = _marker(path).exists()
            except FileNotFoundError:
                continue
            aged = clock - state[1] / 1e9 >= min_age_seconds
            if marked or aged or (earlier or {}).get(label) == state:
                complete.append(path)
            else:
                look.unsettled[label] = state
        rest = iter(complete)
        while batch := list(islice(rest, _BATCH)):
            _adopt(paths, folder, batch, look)
    return look


def _adopt(paths: Paths, stream: str, files: Sequence[Path], look: Adoption) -> None:
    """Land complete files and take them out of the inbox."""
    for path, landed in land_all(paths, stream, files).items():
        label = path.relative_to(paths.inbox).as_posix()
        if isinstance(landed, Path):
            # A crash here adopts the file once more: the ledger knows its bytes.
            path.unlink(missing_ok=True)
            _marker(path).unlink(missing_ok=True)
            look.adopted.setdefault(stream, []).append(landed)
        elif isinstance(landed, ChangedError):
            look.unsettled[label] = (-1, -1)
        elif isinstance(landed, PermissionError):
            look.refused[label] = "not readable; give this account the right to read it"
        elif not isinstance(landed, FileNotFoundError):
            raise landed


def _dropped(inbox: Path) -> Iterator[tuple[str, Path]]:
    """Every entry with its stream folder ('' at the top)."""
    for entry in _entries(inbox):
        if entry.is_dir():
            yield from ((entry.name, path) for path in _entries(entry))
        else:
            yield "", entry


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, but for hidden files and markers beside their file."""
    if not folder.is_dir():
        return []
    # rsync and most copiers write to a hidden name first.
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    return [
        folder / name
        for name in sorted(names)
        if not (name.endswith(MARKER) and name.removesuffix(MARKER) in names)
    ]


def _refusal(folder: str, path: Path, specs: Mapping[str, StreamSpec]) -> str | None:
    if not folder:
        return "put it into the folder of its stream"
    if folder not in specs:
        return f"{folder!r} is not a declared stream; declare it or correct the folder"
    if path.is_symlink():
        return "a link; put the file itself into the stream's folder"
    if not path.is_file():
        return "not a file; put the files themselves into the stream's folder"
    if path.name.endswith(MARKER):
        return "a marker without its file; remove it or bring the file"
    pattern = specs[folder].connection.pattern
    if not fnmatch.fnmatchcase(path.name.lower(), pattern.lower()):
        return f"the stream takes files named like {pattern}"
    return None


def _marker(path: Path) -> Path:
    return path.with_name(path.name + MARKER)


def _state(path: Path) -> State:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
