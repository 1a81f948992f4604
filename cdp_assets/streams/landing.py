"""The landing zone: complete, immutable files, one folder per stream.

Every producer ends here, and only ever adds: a hidden temporary name, fsync, rename,
fsync of the folder. ``arrivals.py`` says what the names mean.
"""

import datetime as dt
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import duckdb

from cdp_assets.declarations import identifier
from cdp_assets.durable import sync
from cdp_assets.paths import Paths
from cdp_assets.streams.arrivals import COMPACTED, fingerprint, name_of
from cdp_assets.streams.spec import StreamSpec

CHUNK = 1 << 20
UNFINISHED = ".landing-"
# Copies that wait for the disk at the same time.
_COPIES = 8
_ASKED = ".wave-asked-for"


class ChangedError(RuntimeError):
    """The file changed while it was copied; it is not complete yet."""


def land(
    paths: Paths,
    stream: str,
    name: str,
    content: bytes | Path,
    *,
    landed_at: dt.datetime | None = None,
) -> Path:
    """Add one complete file to the landing zone; it appears whole or not at all.

    Args:
        paths: The runtime folder.
        stream: The stream it belongs to.
        name: What the producer calls the file; its suffix tells the format.
        content: The bytes, or a file to copy them from.
        landed_at: When it arrived (UTC); default the clock.

    Returns:
        The landed file.

    Raises:
        ChangedError: ``content`` is a file, and was written to during the copy.
    """
    folder = paths.landing / identifier(stream)
    folder.mkdir(parents=True, exist_ok=True)
    at = landed_at or dt.datetime.now(dt.UTC)
    unfinished, digest = _write(folder, content)
    landed = _publish(unfinished, digest, name, at)
    sync(folder)
    return landed


def land_all(
    paths: Paths, stream: str, files: Sequence[Path]
) -> dict[Path, Path | Exception]:
    """Add many files, in their order; each appears whole or not at all.

    They are copied several at once, because waiting for the disk once for each costs
    5,000 files a minute, and then get their names one after the other.

    Args:
        paths: The runtime folder.
        stream: The stream they belong to.
        files: What to copy; read again by nobody once this returns.

    Returns:
        The landed file for each, or what kept it from being copied.
    """
    folder = paths.landing / identifier(stream)
    folder.mkdir(parents=True, exist_ok=True)
    started = dt.datetime.now(dt.UTC)
    done: dict[Path, Path | Exception] = {}
    with ThreadPoolExecutor(_COPIES) as pool:
        copies = [pool.submit(_write, folder, path) for path in files]
        for number, (path, copy) in enumerate(zip(files, copies, strict=True)):
            at = max(
                started + dt.timedelta(microseconds=number), dt.datetime.now(dt.UTC)
            )
            try:
                done[path] = _publish(*copy.result(), path.name, at)
            except (OSError, ChangedError) as error:
                done[path] = error
    sync(folder)
    return done


def landed(paths: Paths, stream: str) -> list[Path]:
    """Every landed file of a stream in name order, which is arrival order."""
    folder = paths.landing / identifier(stream)
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.is_file()
        ]
    return [folder / name for name in sorted(names)]


def waiting(
    connection: duckdb.DuckDBPyConnection, paths: Paths, spec: StreamSpec
) -> list[Path]:
    """The files whose content the ledger has not seen, in order of arrival.

    Compacted files are among them where the ledger does not know them: after a restore
    of an older warehouse, or when a compaction was killed before it could say so.
    """
    contents, compacted = known(connection, spec)
    seen = {content[:16] for content in contents}
    found = [
        path for path in compacted_files(paths, spec.name) if path.name not in compacted
    ]
    for path in landed(paths, spec.name):
        try:
            content = fingerprint(path)
        except FileNotFoundError:
            continue
        if content not in seen:
            found.append(path)
    return sorted(found, key=lambda path: path.name)


def known(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec
) -> tuple[set[str], set[str]]:
    """The contents (SHA-256) and the compacted files that a stream's ledger knows.

    A full extract that was held and then released is to be loaded again.
    """
    rows = connection.execute(
        """
        select content_sha256, compacted_into from ops.landed_file
        where stream = ? and outcome <> 'released'
        """,
        [spec.name],
    ).fetchall()
    return {row[0] for row in rows}, {row[1] for row in rows if row[1]}


def compacted_files(paths: Paths, stream: str) -> list[Path]:
    """A stream's compacted files in name order, which is the order of arrival."""
    folder = paths.landing / identifier(stream) / COMPACTED
    return sorted(
        path for path in folder.glob("*.parquet") if not path.name.startswith(".")
    )


def discard_unfinished(paths: Paths, stream: str) -> None:
    """Delete copies that nobody wrote to for a day: their producer was killed."""
    limit = time.time() - 24 * 3600
    for unfinished in (paths.landing / identifier(stream)).glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):
            if unfinished.stat().st_mtime < limit:
                unfinished.unlink()


def ask_for_wave(paths: Paths) -> None:
    """Have the landing sensor ask for a wave although no file waits.

    For tables that were changed by other means than a load of new files.
    """
    paths.landing.mkdir(parents=True, exist_ok=True)
    (paths.landing / _ASKED).write_text(f"{dt.datetime.now(dt.UTC).isoformat()}\n")


def asked(paths: Paths) -> str:
    """What ``ask_for_wave`` last left behind; it differs each time."""
    try:
        return (paths.landing / _ASKED).read_text().strip()
    except FileNotFoundError:
        return ""


def _write(folder: Path, content: bytes | Path) -> tuple[Path, str]:
    """Write bytes under a hidden name, safe on the disk: where, and their SHA-256."""
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=folder)
    unfinished = Path(name)
    digest = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as sink:
            for chunk in _chunks(content):
                digest.update(chunk)
                sink.write(chunk)
            sink.flush()
            os.fsync(sink.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return unfinished, digest.hexdigest()


def _publish(unfinished: Path, digest: str, name: str, at: dt.datetime) -> Path:
    return unfinished.rename(unfinished.with_name(name_of(name, digest, at)))


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as source:
        before = os.fstat(source.fileno())
        while chunk := source.read(CHUNK):
            yield chunk
        after = content.stat()
    if _state(before) != _state(after):
        raise ChangedError(f"{content.name} was written to while it was copied")


def _state(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
