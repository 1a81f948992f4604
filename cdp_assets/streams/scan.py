"""A first look at a landed file: its hash, its encoding, its lines.

One pass over the bytes answers what DuckDB's readers answer late or not at all: is this
really UTF-8, does it hold NUL bytes, how many lines has it (against which the readers'
row counts are checked). A file that is not plain UTF-8 is rewritten, so that there is
one way to read text.
"""

import codecs
import hashlib
import itertools
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import duckdb

from cdp_assets.streams.landing import CHUNK

_PYTHON_NAMES = {"utf-8": "utf-8", "utf-16": "utf-16", "latin-1": "latin-1"} | {
    "windows-1252": "cp1252"
}


_SAFE = re.compile(r"[^A-Za-z0-9.]")
_numbers = itertools.count()


class UnreadableError(ValueError):
    """A file that cannot be read; the message says why and what would be right."""


@dataclass(frozen=True)
class Scan:
    """What the first look found."""

    path: Path
    bytes: int
    mtime_ns: int
    sha256: str
    text: Path
    """Where to read it from: the file itself, or its copy in plain UTF-8."""
    lines: int = 0
    is_blank: bool = False
    has_carriage_returns: bool = False
    longest_line: int = 0
    """In bytes; exact where it is longer than a chunk, else a line that spans two."""
    ends_in_a_line: bool = False
    """Whether the last line has no line break, as when the file was cut off in it."""
    fault: str | None = None

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was looked at."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.bytes, self.mtime_ns)


def scan(path: Path, encoding: str | None, work: Path) -> Scan:
    """Read a file once.

    Args:
        path: The landed file.
        encoding: How its text is encoded; None for a binary format.
        work: A folder for rewritten copies.

    Raises:
        FileNotFoundError: It vanished.
    """
    stat = path.stat()
    digest = hashlib.sha256()
    found = Scan(path, stat.st_size, stat.st_mtime_ns, "", path)
    with path.open("rb") as source:
        if encoding is None:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
            found = replace(found, text=_copy_if_glob(path, work))
        else:
            found = _scan_text(source, found, encoding, work, digest)
    return replace(found, sha256=digest.hexdigest(), is_blank=_is_blank(found))


@contextmanager
def work_folder(connection: duckdb.DuckDBPyConnection) -> Iterator[Path]:
    """A folder for rewritten copies, where DuckDB spills: beside the warehouse."""
    row = connection.execute("select current_setting('temp_directory')").fetchone()
    spill = Path(str(row[0]) if row and row[0] else tempfile.gettempdir())
    spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reading-", dir=spill) as folder:
        yield Path(folder)


def rewritten(work: Path, path: Path) -> Path:
    """A name in ``work`` for a copy of ``path`` that no other file has."""
    return work / f"{next(_numbers)}-{_SAFE.sub('', path.name)[-40:]}"


class _Text:
    """Decodes a file chunk by chunk, counts its lines and looks for what is wrong."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.decoder = codecs.getincrementaldecoder(_PYTHON_NAMES[encoding])()
        self.newlines = 0
        self.last = b"\n"
        self.blank = True
        self.carriage_returns = False
        self.open_line = 0
        self.longest_line = 0
        self.fault: str | None = None

    def plain(self, chunk: bytes, *, final: bool = False) -> bytes:
        """The chunk in UTF-8; nothing more once something is wrong."""
        if self.fault:
            return b""
        try:
            decoded = self.decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            self.fault = self._not_decodable(error)
            return b""
        plain = chunk if self.encoding == "utf-8" else decoded.encode()
        if (at := plain.find(b"\0")) >= 0:
            line = self.newlines + plain.count(b"\n", 0, at) + 1
            self.fault = (
                f"line {line}: a NUL byte. A text file has none: was it cut off by a "
                "crash, or is it UTF-16? Then declare encoding: utf-16"
            )
            return b""
        self.newlines += plain.count(b"\n")
        self._measure(plain)
        self.last = plain[-1:] or self.last
        self.blank = self.blank and not plain.strip()
        self.carriage_returns = self.carriage_returns or b"\r" in plain
        return plain

    def _measure(self, plain: bytes) -> None:
        """Follow the line that goes on from chunk to chunk; others are no longer."""
        first = plain.find(b"\n")
        self.open_line += len(plain) if first < 0 else first
        self.longest_line = max(self.longest_line, self.open_line)
        if first >= 0:
            self.open_line = len(plain) - 1 - plain.rfind(b"\n")

    @property
    def lines(self) -> int:
        """Lines so far, an unfinished last one included."""
        return self.newlines + (self.last != b"\n")

    def _not_decodable(self, error: UnicodeDecodeError) -> str:
        line = self.newlines + error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        if self.encoding == "utf-8":
            remedy = "declare encoding: windows-1252 or latin-1 if the source writes it"
        else:
            remedy = f"is it cut off, or not {self.encoding} at all?"
        return f"line {line}: byte 0x{byte:02X} is not {self.encoding}; {remedy}"


def _scan_text(
    source: BinaryIO, found: Scan, encoding: str, work: Path, digest: "hashlib._Hash"
) -> Scan:
    head = source.read(CHUNK)
    digest.update(head)
    marked = head.startswith(codecs.BOM_UTF8)
    text = _Text("utf-8" if marked else encoding)
    if encoding == "utf-8" and head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        text.fault = "starts with a UTF-16 byte order mark; declare encoding: utf-16"
    with ExitStack() as stack:
        sink: BinaryIO | None = None
        if marked or encoding != "utf-8" or _is_glob(found.path):
            found = replace(found, text=rewritten(work, found.path))
            sink = stack.enter_context(found.text.open("wb"))
        plain = text.plain(head.removeprefix(codecs.BOM_UTF8) if marked else head)
        while True:
            if sink:
                sink.write(plain)
            chunk = source.read(CHUNK)
            digest.update(chunk)
            plain = text.plain(chunk, final=not chunk)
            if not chunk:
                break
        if sink:
            sink.write(plain)
    return replace(
        found,
        lines=text.lines,
        is_blank=text.blank,
        has_carriage_returns=text.carriage_returns,
        longest_line=text.longest_line,
        ends_in_a_line=text.last != b"\n",
        fault=text.fault,
    )


def _is_blank(found: Scan) -> bool:
    return found.bytes == 0 or (found.is_blank and found.fault is None)


def _is_glob(path: Path) -> bool:
    # DuckDB takes a file list as patterns, so such a name would match other files.
    return any(character in str(path) for character in "*?[")


def _copy_if_glob(path: Path, work: Path) -> Path:
    if not _is_glob(path):
        return path
    link = rewritten(work, path)
    link.symlink_to(path.resolve())
    return link
