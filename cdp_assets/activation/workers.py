"""Deliveries beside the run that planned them: each destination at its own pace.

A delivery starts in a thread as soon as its changes are handed over, and its result is
waited for at the end, so a destination that is slow or dead costs a run its own time
once, and no other destination anything.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from cdp_assets.activation.dispatch import DeliveryResult

Delivery = Callable[[], DeliveryResult]


class Workers:
    """The deliveries that this process has under way, by run and activation."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._started: dict[tuple[str, str], Future[DeliveryResult]] = {}

    def start(self, run: str, activation: str, deliver: Delivery) -> None:
        """Deliver in a thread of its own."""
        future: Future[DeliveryResult] = Future()
        with self._lock:
            self._started[run, activation] = future
        threading.Thread(
            target=_work, args=(future, deliver), name=f"deliver {activation}"
        ).start()

    def result(self, run: str, activation: str, deliver: Delivery) -> DeliveryResult:
        """Wait for a delivery; one that another process started is made here.

        Raises:
            Exception: Whatever the delivery raised.
        """
        with self._lock:
            future = self._started.pop((run, activation), None)
        return deliver() if future is None else future.result()


def _work(future: "Future[DeliveryResult]", deliver: Delivery) -> None:
    try:
        future.set_result(deliver())
    except BaseException as error:
        future.set_exception(error)
