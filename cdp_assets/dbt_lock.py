"""dbt's share in the lock: whoever builds into the warehouse waits like everybody else.

A plugin of dbt-duckdb, named in ``profiles.yml`` for the target ``warehouse``. It takes
the lock before dbt opens the file and keeps it until dbt closes it, so an analyst's
``dbt build --target warehouse`` waits for a run, and a run for it, instead of failing.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from cdp_assets import lock
from cdp_assets.paths import Paths

# Set by a run that holds the lock on behalf of the dbt it starts: its process id.
HELD_BY = "CDP_WAREHOUSE_HELD_BY"


class Plugin(BasePlugin):
    """Holds the lock for as long as dbt keeps this object, which is until it closes."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the lock, unless the parent process holds it for this one."""
        self._held = contextlib.ExitStack()
        # A child that outlives its parent has another one by now, and no lock.
        if os.environ.get(HELD_BY) == str(os.getppid()):
            return
        assert self.creds is not None  # noqa: S101 - dbt-duckdb always passes them
        folder = Path(self.creds.path).resolve().parent
        self._held.enter_context(
            lock.held(
                Paths(folder).lock,
                "dbt at a terminal",
                exclusive=True,
                wait_seconds=float(plugin_config.get("wait_seconds", 3600)),
                say=lambda words: print(words, file=sys.stderr, flush=True),
            )
        )

    def __del__(self) -> None:
        """Free the lock when dbt lets go of its connection in a living process."""
        self._held.close()
