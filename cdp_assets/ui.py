"""``cdp ui``: the graph in a browser, and nothing left of it once it was stopped.

``dagster dev`` lets a run in progress end before its code server does, and what is
left behind when somebody loses patience keeps the port and the warehouse's lock. Here
Ctrl-C stops everything within seconds: a stopped run has published nothing half-done,
and the next one catches up.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

from cdp_assets.paths import PROJECT

# Without a run in progress the services are gone within three seconds.
PATIENCE_SECONDS = 8.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(port: int, say: Callable[[str], None]) -> int:
    """Serve the UI at 127.0.0.1 until a signal or its own end.

    Args:
        port: Where the web server listens.
        say: Told what becomes of a run in progress.

    Returns:
        The exit code: 0 after a signal, else that of ``dagster dev``.
    """
    command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1"]
    with _signals() as received:
        # A group of its own: the terminal's Ctrl-C reaches us alone, and all that it
        # starts can be told to end at once.
        services = subprocess.Popen(
            [*command, "--port", str(port)], cwd=PROJECT, start_new_session=True
        )
        try:
            while services.poll() is None and not received:
                time.sleep(0.1)
        finally:
            _end(services, say)
    return 0 if received else services.returncode


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect signals that would end this process before it could end the others."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(services: subprocess.Popen[bytes], say: Callable[[str], None]) -> None:
    """Ask the services to end, then all they started, then leave them no choice."""
    with contextlib.suppress(ProcessLookupError):
        services.send_signal(signal.SIGINT)
    if _is_over(services):
        return
    say("stopping the run in progress; the next run catches up")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(services.pid, number)
        if _is_over(services):
            return


def _is_over(services: subprocess.Popen[bytes]) -> bool:
    """Whether the services and all they started end within our patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        services.poll()
        try:
            os.killpg(services.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
