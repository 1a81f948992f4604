"""Threads that attempt claims, and the queue in which their answers come back."""

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType

from cdp_assets.activation.attempting import Attempt
from cdp_assets.activation.claims import Claim

# Answers that come within it are recorded in one transaction: a commit costs about
# 0.1 ms, as much as half a request.
_GATHER_SECONDS = 0.004

Answer = tuple[Claim, Attempt | None]


class Senders:
    """A fixed number of threads; what is submitted is attempted in order."""

    def __init__(
        self, threads: int, attempt: Callable[[Claim], Attempt | None]
    ) -> None:
        """Start the threads; ``attempt`` is called in them."""
        self.in_flight = 0
        self._attempt = attempt
        self._claims: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Senders":
        """Use the threads for the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the threads to end; what is under way is finished first."""
        for _ in self._threads:
            self._claims.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, claim: Claim) -> None:
        """Have a claim attempted when a thread is free."""
        self.in_flight += 1
        self._claims.put(claim)

    def collect(self, timeout: float) -> list[Answer]:
        """Answers, as soon as there is one; none if none came in ``timeout`` seconds.

        Raises:
            BaseException: Whatever an attempt raised that is no answer.
        """
        try:
            found = [self._answers.get(timeout=timeout)]
        except queue.Empty:
            return []
        if self.in_flight > 2 * len(self._threads):
            time.sleep(_GATHER_SECONDS)
        while not self._answers.empty():
            found.append(self._answers.get())
        answers: list[Answer] = []
        for one in found:
            self.in_flight -= 1
            if isinstance(one, BaseException):
                raise one
            answers.append(one)
        return answers

    def _work(self) -> None:
        while (claim := self._claims.get()) is not None:
            try:
                self._answers.put((claim, self._attempt(claim)))
            except BaseException as error:
                self._answers.put(error)
