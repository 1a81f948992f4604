"""A fast receiver in a process of its own, which fails at random if it is told to.

``python -m tests.benchmarks.receiving FILE [RATE SEED]`` prints its port. Each message
that it acts on is a line in FILE: the key, as often as it came. A receiver that honours
keys acted once per distinct line, one that does not once per line.
"""

import asyncio
import random
import sys
from pathlib import Path
from typing import TextIO

FAULTS = ("drop before", "half-read body", "drop after", "429", "500", "slow")


class Receiving(asyncio.Protocol):
    """One connection; requests one after the other."""

    def __init__(self, file: TextIO, rate: float, rng: random.Random) -> None:
        self.file = file
        self.rate = rate
        self.rng = rng
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            headers = dict(
                line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:]
            )
            size = int(headers[b"content-length"])
            fault = self.fault if hasattr(self, "fault") else self.draw()
            if fault == "half-read body" or (fault == "drop before"):
                self.transport.abort()
                return
            if len(rest) < size:
                self.fault = fault
                return
            if hasattr(self, "fault"):
                del self.fault
            self.buffer = rest[size:]
            self.take(headers[b"webhook-id"].decode(), fault)

    def draw(self) -> str | None:
        return self.rng.choice(FAULTS) if self.rng.random() < self.rate else None

    def take(self, key: str, fault: str | None) -> None:
        if fault in ("429", "500"):
            wait = "retry-after: 0\r\n" if fault == "429" else ""
            self.answer(f"HTTP/1.1 {fault} No\r\n{wait}content-length: 0\r\n\r\n")
            return
        self.file.write(key + "\n")
        self.file.flush()
        if fault == "drop after":
            self.transport.abort()
        elif fault == "slow":
            loop = asyncio.get_running_loop()
            loop.call_later(
                0.05, self.answer, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
            )
        else:
            self.answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def answer(self, text: str) -> None:
        self.transport.write(text.encode())


async def serve(path: Path, rate: float, seed: int) -> None:
    rng = random.Random(seed)
    with path.open("a", encoding="utf-8") as file:
        server = await asyncio.get_running_loop().create_server(
            lambda: Receiving(file, rate, rng), "127.0.0.1", 0
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    rate, seed = [*sys.argv[2:4], "0", "0"][:2]
    asyncio.run(serve(Path(sys.argv[1]), float(rate), int(seed)))
