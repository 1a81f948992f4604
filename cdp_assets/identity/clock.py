"""How long the steps of a resolution take, told as they end."""

import contextlib
import time
from collections.abc import Callable, Iterator

Say = Callable[[str], None]


class Clock:
    """Says how long each step took, and remembers it."""

    def __init__(self, say: Say) -> None:
        """``say`` is told one line per step."""
        self.say = say
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what runs within."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 2)
        self.say(f"{name}: {self.seconds[name]:.1f} s")
