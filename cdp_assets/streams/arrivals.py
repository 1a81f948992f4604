"""What a name in the landing zone says: when the bytes arrived, and what they are.

``20260728T101500123456Z-9f86d081884c7d65-contacts.csv``: name order is arrival order, a
reused name with new bytes is a new file, and nobody hashes a file twice to learn that
it was loaded.
"""

import datetime as dt
import hashlib
import re
from pathlib import Path

COMPACTED = "compacted"


# 16 hex digits: among a million files two share them once in 3e7 such zones.
_LANDED = re.compile(r"\d{8}T\d{12}Z-([0-9a-f]{16})-(.+)")


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def name_of(name: str, digest: str, at: dt.datetime) -> str:
    """The name under which bytes of this SHA-256 land that arrived then (UTC)."""
    return f"{at:%Y%m%dT%H%M%S%f}Z-{digest[:16]}-{_safe(name)}"


def fingerprint(path: Path) -> str:
    """The first 16 hex digits of the content's SHA-256, from the name if it has them.

    A file that something else than ``land`` put here is read to know them.
    """
    named = _LANDED.fullmatch(path.name)
    if named:
        return named.group(1)
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()[:16]


def original_name(file: str) -> str:
    """What the producer called a landed file."""
    named = _LANDED.fullmatch(file)
    return named.group(2) if named else file


def stamp_of(path: Path) -> dt.datetime | None:
    """When a landed or compacted file arrived (UTC); None if ``land`` did not name it.

    A compacted file's is that of its oldest original.
    """
    named = _LANDED.fullmatch(path.name)
    if not named:
        return None
    at = dt.datetime.strptime(path.name[:22] + "+0000", "%Y%m%dT%H%M%S%fZ%z")
    return at.replace(tzinfo=None)


def is_compacted(path: Path) -> bool:
    """Whether a path of the landing zone is a compacted file."""
    return path.parent.name == COMPACTED


def _safe(name: str) -> str:
    # 120 of the 255 bytes a name may have; the suffix is what must survive.
    return _UNSAFE.sub("_", name)[-120:] or "unnamed"
