"""A copy of the warehouse and the outbox to try things in; the living ones stay.

It holds personal data: only its owner can read it, and it goes when the trial ends.
"""

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse

PREFIX = ".what-if-"
# What a trial that was killed left behind; none takes so long.
_OLD_SECONDS = 24 * 3600


@contextlib.contextmanager
def scratch(paths: Paths) -> Iterator[Paths]:
    """A runtime folder with a copy of the state, for the length of the block.

    Writers wait while the warehouse is copied, and no longer.

    Raises:
        NotLoadedError: Nothing was loaded yet.
    """
    warehouse = Warehouse(paths)
    warehouse.must_exist()
    _sweep(paths)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=paths.root))
    try:
        copy = Paths(folder)
        with warehouse.locked("copying for a what-if", exclusive=False):
            for path in (paths.warehouse, Path(f"{paths.warehouse}.wal")):
                if path.exists():
                    shutil.copyfile(path, folder / path.name)
            if paths.outbox.exists():
                with (
                    contextlib.closing(sqlite3.connect(paths.outbox)) as source,
                    contextlib.closing(sqlite3.connect(copy.outbox)) as target,
                ):
                    source.backup(target)
        yield copy
    finally:
        shutil.rmtree(folder)


def _sweep(paths: Paths) -> None:
    for left in paths.root.glob(f"{PREFIX}*"):
        if time.time() - left.stat().st_mtime > _OLD_SECONDS:
            shutil.rmtree(left)
