"""The lock that admits one writer to the warehouse, or several readers.

The operating system frees it however its holder ends, so nothing ever waits for a dead
process. The file says in lines of JSON who holds it: what a writer wrote stands alone,
readers add theirs and say when they are done, and lines of processes that are gone do
not count. Whoever waits reads them to say for whom.
"""

import contextlib
import datetime as dt
import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cdp_assets.errors import OperatorError

# Readers of a week without a writer would fill the file: 250 bytes every 15 seconds.
_LONGEST = 1 << 16
_PAUSE_SECONDS = 0.05
# How everybody who waits begins.
WAITING = "waiting for the warehouse"


class WarehouseBusyError(OperatorError, TimeoutError):
    """The lock was not free in time; the message names who held it."""


@dataclass(frozen=True)
class Holder:
    """A living process that holds the lock, or shares it with other readers."""

    purpose: str
    pid: int
    since: dt.datetime
    reads: bool

    def __str__(self) -> str:
        """Say who it is, as a waiting process tells it."""
        who = f"a reader, {self.purpose}" if self.reads else self.purpose
        return f"{who} (process {self.pid}, since {self.since:%Y-%m-%d %H:%M:%S} UTC)"


@contextlib.contextmanager
def held(
    path: Path,
    purpose: str,
    *,
    exclusive: bool,
    wait_seconds: float,
    say: Callable[[str], None],
) -> Iterator[None]:
    """Hold the lock for the length of the block.

    Args:
        path: The lock file; made if need be.
        purpose: What others are told who wait for it.
        exclusive: To write; else shared with other readers.
        wait_seconds: How long to wait for it.
        say: Told once when there is somebody to wait for.

    Raises:
        WarehouseBusyError: It was not free in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(handle, path, exclusive, wait_seconds, say)
        signature = _sign(handle, purpose, exclusive)
        try:
            yield
        finally:
            _sign_off(handle, exclusive, signature)
    finally:
        os.close(handle)


def holders(path: Path) -> list[Holder]:
    """The living processes that signed for the lock; the longest holder first."""
    signed: dict[str, Holder] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        # A line that is just being written is no news of anybody.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            note = json.loads(line)
            if "ended" in note:
                signed.pop(note["ended"], None)
            elif _lives(note):
                signed[note["signature"]] = Holder(
                    str(note["purpose"]),
                    int(note["pid"]),
                    dt.datetime.fromisoformat(note["since"]),
                    bool(note["reads"]),
                )
    return sorted(signed.values(), key=lambda holder: holder.since)


def holder(path: Path) -> str:
    """Who holds the lock, in words."""
    known = holders(path)
    if not known:
        return "a process that left no name"
    others = f" and {len(known) - 1} more" if len(known) > 1 else ""
    return f"{known[0]}{others}"


def is_free(path: Path, *, exclusive: bool = True) -> bool:
    """Whether somebody would get the lock at once.

    Args:
        path: The lock file; none is free.
        exclusive: Asked for alone, or shared with others: two that only ask must not
            take each other for one who holds it.
    """
    if not path.exists():
        return True
    with alone(path, exclusive=exclusive) as got:
        return got


@contextlib.contextmanager
def alone(path: Path, *, exclusive: bool = True) -> Iterator[bool]:
    """Hold a lock file for the block if it is free; False, and not held, where not.

    The lock goes with the process, so one that was killed blocks nobody.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            fcntl.flock(handle, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _acquire(
    handle: int,
    path: Path,
    exclusive: bool,
    wait_seconds: float,
    say: Callable[[str], None],
) -> None:
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    deadline = time.monotonic() + wait_seconds
    told = False
    while True:
        try:
            fcntl.flock(handle, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                say(f"{WAITING}, held by {holder(path)}")
                told = True
            if time.monotonic() >= deadline:
                raise WarehouseBusyError(
                    f"the warehouse is held by {holder(path)}; waited "
                    f"{wait_seconds:.0f} s. Try again when it is done."
                ) from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _sign(handle: int, purpose: str, exclusive: bool) -> str:
    signature = uuid.uuid4().hex
    note = {
        "purpose": purpose,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(),
        "reads": not exclusive,
        "signature": signature,
    }
    if exclusive or os.fstat(handle).st_size > _LONGEST:
        os.ftruncate(handle, 0)
    _append(handle, note)
    return signature


def _sign_off(handle: int, exclusive: bool, signature: str) -> None:
    if exclusive:
        os.ftruncate(handle, 0)
    else:
        _append(handle, {"ended": signature})


def _append(handle: int, note: dict[str, object]) -> None:
    # One write at the end of the file: readers that share the lock cannot mix lines.
    flags = fcntl.fcntl(handle, fcntl.F_GETFL)
    fcntl.fcntl(handle, fcntl.F_SETFL, flags | os.O_APPEND)
    os.write(handle, json.dumps(note).encode() + b"\n")


def _lives(note: dict[str, object]) -> bool:
    if note.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(str(note["pid"])), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
