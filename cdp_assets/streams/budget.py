"""How much of what waits a stream loads in one wave, and which files that is.

A backfill of years must not keep today's files waiting: a wave takes at most a budget
of each stream, and the landing sensor asks for the next one while anything is left.
Where the order of arrival does not matter, half of a budget goes to the newest files
and half to the oldest, so live data is in with the first wave and the backfill moves on
with each.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cdp_assets.streams.reading import format_of
from cdp_assets.streams.spec import StreamSpec

# Two million contacts load in about a quarter of a minute on two cores, and a wave over
# them resolves and reconciles within some minutes: what live data waits at most.
WAVE_BYTES, WAVE_ROWS = 512 << 20, 2_000_000
# Each file costs about a millisecond whatever is in it.
WAVE_FILES = 20_000
BYTES_VARIABLE, ROWS_VARIABLE = "CDP_WAVE_BYTES", "CDP_WAVE_ROWS"
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class Budget:
    """What one wave may take of one stream; it always takes at least one file."""

    bytes: int = WAVE_BYTES
    rows: int = WAVE_ROWS
    files: int = WAVE_FILES

    def half(self) -> "Budget":
        """Half of each, for either end of what waits."""
        return Budget(
            max(self.bytes // 2, 1), max(self.rows // 2, 1), max(self.files // 2, 1)
        )

    def minus(self, bytes_: int, rows: int, files: int) -> "Budget":
        """What is left after so much was taken; never less than nothing."""
        return Budget(
            max(self.bytes - bytes_, 0),
            max(self.rows - rows, 0),
            max(self.files - files, 0),
        )


def budget_of(spec: StreamSpec) -> Budget:
    """The stream's own budget, else the environment's, else the default.

    Raises:
        ValueError: A variable holds no positive whole number.
    """
    declared = spec.wave
    return Budget(
        bytes=(declared and declared.bytes)
        or _from_environment(BYTES_VARIABLE)
        or WAVE_BYTES,
        rows=(declared and declared.rows)
        or _from_environment(ROWS_VARIABLE)
        or WAVE_ROWS,
    )


def waves(
    spec: StreamSpec, files: Sequence[Path], budget: Budget
) -> Iterator[list[Path]]:
    """Split files, which are in order of arrival, into waves within the budget.

    Files that vanish meanwhile are left out. Within a wave the order is that of
    arrival.
    """
    left = deque(files)
    while left:
        newest: list[Path] = []
        if not spec.is_arrival_ordered and len(left) > 1:
            newest, spent = _take(spec, left, budget.half(), newest_first=True)
            oldest, _ = _take(spec, left, budget.minus(*spent, len(newest)))
        else:
            oldest, _ = _take(spec, left, budget)
        wave = [*oldest, *reversed(newest)]
        if wave:
            yield wave


def _take(
    spec: StreamSpec, left: deque[Path], budget: Budget, *, newest_first: bool = False
) -> tuple[list[Path], tuple[int, int]]:
    """Take files from one end until the budget is spent: the files, bytes and rows."""
    taken: list[Path] = []
    bytes_ = rows = 0
    while left and len(taken) < max(budget.files, 1):
        path = left[-1] if newest_first else left[0]
        try:
            size = path.stat().st_size
            count = estimated_rows(spec, path, size)
        except FileNotFoundError:
            size = count = -1
        over = bytes_ + size > budget.bytes or rows + count > budget.rows
        if taken and over:
            break
        if newest_first:
            left.pop()
        else:
            left.popleft()
        if size >= 0:
            taken.append(path)
            bytes_, rows = bytes_ + size, rows + count
    return taken, (bytes_, rows)


def estimated_rows(spec: StreamSpec, path: Path, size: int) -> int:
    """About how many rows a file of ``size`` bytes has.

    A Parquet file's footer knows; a text file's first 64 kB tell how long a line is. A
    JSON document has no lines to go by and counts by its bytes alone: 0.

    Raises:
        FileNotFoundError: It vanished.
    """
    format_ = format_of(spec, path.name)
    if format_ == "json":
        return 0
    if format_ == "parquet":
        return _footer_rows(path)
    with path.open("rb") as source:
        sample = source.read(_SAMPLE)
    lines = max(sample.count(b"\n"), 1)
    return lines if size <= len(sample) else lines * size // len(sample)


def _footer_rows(path: Path) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        footer = parquet.read_metadata(path)  # type: ignore[no-untyped-call]
        return int(footer.num_rows)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        # Reading it will say what is wrong with it.
        return 0


def _from_environment(variable: str) -> int | None:
    text = os.environ.get(variable)
    if not text:
        return None
    if not text.isdigit() or int(text) == 0:
        raise ValueError(
            f"{variable}: {text!r} is no positive whole number; give one like 1000000"
        )
    return int(text)
