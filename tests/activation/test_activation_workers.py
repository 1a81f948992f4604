"""Workers: every destination at its own pace, within one run."""

import threading
import time

import pytest

from cdp_assets.activation.dispatch import DeliveryResult
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.workers import Workers
from cdp_assets.definitions import defs
from cdp_assets.defs.sending import FIRST, LAST
from cdp_assets.paths import Paths
from tests.activation.waiting import AS_OF, Answering, declare, fill


def test_a_destination_that_hangs_keeps_no_other_waiting(paths: Paths) -> None:
    """One dead receiver held the messages of four living ones back."""
    from cdp_assets.activation.delivery import deliver

    outbox = Outbox(paths.outbox)
    names = ["dead", "a", "b", "c", "d"]
    for name in names:
        fill(outbox, range(20), activation=name)
    freed = threading.Event()

    class Hanging(Answering):
        def send(self, batch):  # type: ignore[no-untyped-def]
            freed.wait(30)
            return super().send(batch)

    def job(name: str) -> DeliveryResult:
        destination = Hanging() if name == "dead" else Answering()
        return deliver(outbox, declare(name), destination, at=AS_OF)

    workers = Workers()
    for name in names:
        workers.start("run", name, lambda name=name: job(name))  # type: ignore[misc]
    try:
        for name in names[1:]:
            assert workers.result("run", name, pytest.fail).delivered == 20
        with outbox.connect() as connection:
            assert connection.execute(
                "select count(*) from outbox where state = 'delivered'"
            ).fetchone() == (80,)
    finally:
        freed.set()
    assert workers.result("run", "dead", pytest.fail).delivered == 20


def test_what_a_delivery_raises_is_raised_where_it_is_waited_for() -> None:
    def broken() -> DeliveryResult:
        raise OSError("disk full")

    workers = Workers()
    workers.start("run", "a", broken)
    with pytest.raises(OSError, match="disk full"):
        workers.result("run", "a", broken)


def test_a_delivery_of_another_process_is_made_where_it_is_asked_for() -> None:
    workers = Workers()
    workers.start("other run", "a", lambda: DeliveryResult("a", "done", delivered=1))
    time.sleep(0)
    found = workers.result("run", "a", lambda: DeliveryResult("a", "busy"))

    assert found.status == "busy"


def test_sending_begins_first_and_is_waited_for_last() -> None:
    """Otherwise the second activation was planned when the first had been delivered."""
    job = defs().resolve_implicit_global_asset_job_def()
    priorities = {
        node.name.rpartition("__")[2]: node.tags.get("dagster/priority")
        for node in job.graph.iterate_op_defs()
        if node.name.endswith(("__pending", "__deliver"))
    }
    assert priorities == {
        "pending": FIRST["dagster/priority"],
        "deliver": LAST["dagster/priority"],
    }
