"""A real receiver of webhooks: checks signatures, honours keys, keeps what it got.

``make run`` starts it so that the shipped webhook activation has somewhere to go, and
``cdp receiver`` serves it for trying things out. Its faults are what senders must live
with: an answer that is lost before or after the message was acted on, refusals, delays.
"""

import contextlib
import datetime as dt
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from cdp_assets.activation.signing import SignatureError, read_secrets, verify

FaultKind = Literal[
    "429", "429-date", "500", "400", "drop-before", "drop-after", "half", "slow"
]
FAULTS: tuple[FaultKind, ...] = ("429", "500", "drop-before", "drop-after", "half")
_LARGEST_BODY = 1 << 20


@dataclass
class Faults:
    """What goes wrong: first those scripted, one per request, then at random."""

    script: list[FaultKind | None] = field(default_factory=list)
    rate: float = 0.0
    kinds: Sequence[FaultKind] = FAULTS
    retry_after_seconds: int = 1
    slow_seconds: float = 1.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311

    def draw(self) -> FaultKind | None:
        """The fault of the next request, if any."""
        if self.script:
            return self.script.pop(0)
        return self.rng.choice(self.kinds) if self.rng.random() < self.rate else None


class Receiver:
    """The state behind the HTTP server: which keys were acted on, and the file."""

    def __init__(self, path: Path, secret: str, faults: Faults | None = None) -> None:
        """Remember the keys of earlier messages in ``path``, and append new ones."""
        self.path = path
        self.keys = read_secrets(secret)
        self.faults = faults or Faults()
        self.requests: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._acted: set[str] = set()
        self._open = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        # Messages hold personal data: the owner's only.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                self._acted.add(str(json.loads(line)["id"]))
        self.url = ""

    def draw(self) -> FaultKind | None:
        """Count the request, and draw its fault."""
        with self._lock:
            fault = self.faults.draw()
            self.requests[fault or "none"] += 1
            return fault

    def act(self, message_id: str, body: bytes) -> bool:
        """Act on a message: write it down, unless its key is known.

        Returns:
            Whether it was new.
        """
        line = json.dumps({"id": message_id, "message": json.loads(body)}) + "\n"
        with self._lock:
            if message_id in self._acted:
                return False
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
            self._acted.add(message_id)
            return True

    def wait_until_idle(self) -> None:
        """Wait until every request that came in was dealt with."""
        while self.busy:
            time.sleep(0.01)

    @property
    def busy(self) -> int:
        """How many requests are being dealt with."""
        with self._lock:
            return self._open

    @contextlib.contextmanager
    def dealing(self) -> Iterator[None]:
        """Count a request while it is dealt with."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1

    @property
    def acted(self) -> int:
        """How many messages were acted on."""
        with self._lock:
            return len(self._acted)


@contextlib.contextmanager
def receiving(
    path: Path,
    secret: str,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Faults | None = None,
) -> Iterator[Receiver]:
    """Serve a receiver in a thread for the length of the block.

    Args:
        path: The NDJSON file that messages are appended to.
        secret: The ``whsec_`` secret, or several.
        host: The address to listen on.
        port: The port; 0 takes a free one. ``url`` of the receiver names it.
        faults: What goes wrong.
    """
    receiver = Receiver(path, secret, faults)
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer((host, port), handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://{host}:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"
    # Nagle's algorithm would hold small answers back for up to 40 ms.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Take one message."""
        size = self.headers.get("content-length", "")
        if not size.isdigit() or int(size) > _LARGEST_BODY:
            self.close_connection = True
            self._answer(413)
            return
        body = self.rfile.read(int(size))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            message_id = verify(self.receiver.keys, headers, body, time.time())
        except SignatureError:
            self._answer(401)
            return
        with self.receiver.dealing():
            self._take(message_id, body)

    def _take(self, message_id: str, body: bytes) -> None:
        fault = self.receiver.draw()
        if fault == "drop-before":
            self.close_connection = True
        elif fault in ("429", "429-date", "500", "400"):
            self._answer(int(fault[:3]), wait=fault)
        else:
            if fault == "slow":
                time.sleep(self.receiver.faults.slow_seconds)
            try:
                new = self.receiver.act(message_id, body)
            except ValueError:
                self._answer(400)
                return
            if fault == "drop-after":
                self.close_connection = True
            elif fault == "half":
                self._answer(200, promise=1_000)
                self.close_connection = True
            else:
                self._answer(200 if new else 208)

    def _answer(self, status: int, *, wait: str = "", promise: int = 0) -> None:
        self.send_response(status)
        seconds = self.receiver.faults.retry_after_seconds
        if wait == "429":
            self.send_header("retry-after", str(seconds))
        elif wait == "429-date":
            until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
            self.send_header("retry-after", format_datetime(until, usegmt=True))
        self.send_header("content-length", str(promise))
        self.end_headers()
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the file is the record."""
