"""What a look at the platform finds: one finding per check and thing.

Findings name streams, activations and runs, never what is in a record, so they may go
to a chat channel.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """The result of one check on one thing."""

    check: str
    level: Level
    says: str
    subject: str = ""
    """What it is about: a stream, a run, an activation; empty for the whole."""
    next: str = ""
    """What to do about it; empty when all is well."""

    @property
    def key(self) -> str:
        """The same for the same trouble, however often it is looked at."""
        return f"{self.check}:{self.subject}:{self.level}"


def counted(number: int, thing: str) -> str:
    """A number of things: ``1 row``, ``2 rows``."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def in_words(span: dt.timedelta) -> str:
    """A span of time as minutes or hours."""
    minutes = span.total_seconds() / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
