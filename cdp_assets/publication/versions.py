"""Numbered versions of a folder behind one pointer, of which the last two are kept.

A version is complete, and on the disk, before the pointer is swapped to it by a rename:
interrupted anywhere, the pointer names a whole version, and the next publication sweeps
up the rest. Whoever has opened a version keeps it for one more publication.
"""

import re
import shutil
from pathlib import Path

from cdp_assets.durable import sync

KEPT = 2
_POINTER = "current"
_VERSION = re.compile(r"v(\d+)")


def current(folder: Path) -> Path | None:
    """The version that readers see; none before the first."""
    pointer = folder / _POINTER
    return pointer.resolve() if pointer.exists() else None


def number(version: Path | None) -> int:
    """A version's number; 0 for none."""
    found = _VERSION.fullmatch(version.name) if version else None
    return int(found.group(1)) if found else 0


def begin(folder: Path) -> Path:
    """Make the folder of the next version, which readers do not see yet."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    home = (folder / f"v{number(current(folder)) + 1}").resolve()
    home.mkdir()
    return home


def show(home: Path) -> None:
    """Put a complete version on the disk and point readers at it."""
    for path in home.rglob("*"):
        sync(path)
    sync(home)
    pointer = home.parent / _POINTER
    draft = home.parent / f"{_POINTER}.tmp"
    draft.unlink(missing_ok=True)
    # Relative, so that the folder can be moved as a whole.
    draft.symlink_to(home.name)
    draft.rename(pointer)
    sync(home.parent)
    sweep(home.parent)


def sweep(folder: Path) -> None:
    """Remove what an interrupted publication left, and all but the last versions."""
    newest = number(current(folder))
    for version in folder.glob("v*"):
        if _VERSION.fullmatch(version.name) and not (
            newest - KEPT < number(version) <= newest
        ):
            shutil.rmtree(version)
