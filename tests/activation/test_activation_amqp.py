"""Messages to a broker: a RabbitMQ that the test starts, on this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.destinations.opening import open_destination
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.outbox import Outbox
from cdp_assets.paths import Paths
from tests.activation.waiting import AS_OF, asked, declare, fill

pika = pytest.importorskip("pika", reason="pika is not installed")

AMQP = {
    "kind": "amqp",
    "url_env": "BROKER",
    "exchange": "cdp",
    "routing_key": "audiences",
    "concurrency": 1,
}
HOME = Path("/usr/lib/rabbitmq/bin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker with nothing in it, and a port mapper of its own."""
    program, epmd = HOME / "rabbitmq-server", shutil.which("epmd")
    if not program.exists() or epmd is None:
        pytest.skip("RabbitMQ's server is not installed")
    folder = tmp_path_factory.mktemp("rabbit")
    port, mapper = free_port(), free_port()
    (folder / "plugins").write_text("[].")
    (folder / "rabbit.conf").write_text(
        "max_message_size = 100000\nvm_memory_high_watermark.relative = 0.9\n"
        "disk_free_limit.absolute = 1MB\n"
    )
    environ = {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # Two threads are enough for it; it would take one per processor and more.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        "RABBITMQ_NODENAME": f"cdp{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbit.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
    }
    log = folder / "said"
    with log.open("wb") as said:
        mapping = subprocess.Popen([epmd, "-port", str(mapper)], env=environ)
        # A group of its own: the script starts the broker as its child.
        process = subprocess.Popen(
            [str(program)], env=environ, stdout=said, stderr=said, process_group=0
        )
        try:
            ready(process, port, log)
            yield f"amqp://guest:guest@127.0.0.1:{port}/%2f"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            mapping.kill()
            mapping.wait(10)


class Queue:
    """The consumer's side: an exchange with a queue bound to it."""

    def __init__(self, url: str) -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.channel.exchange_declare("cdp", "direct", durable=True)
        self.channel.queue_declare("audience", durable=True)
        self.channel.queue_bind("audience", "cdp", "audiences")
        self.channel.queue_purge("audience")

    def messages(self) -> list[tuple[Any, dict[str, Any]]]:
        """What a consumer gets, with its properties."""
        found = []
        while True:
            method, properties, body = self.channel.basic_get("audience", auto_ack=True)
            if method is None:
                return found
            found.append((properties, json.loads(body)))


@pytest.fixture
def queue(broker: str) -> Iterator[Queue]:
    one = Queue(broker)
    yield one
    if one.channel.is_open:
        one.channel.queue_delete("audience")
        one.channel.exchange_delete("cdp")
    one.connection.close()


@pytest.fixture
def opened(broker: str, paths: Paths) -> Iterator[Any]:
    destinations: list[Any] = []

    def open_it(url: str = broker, **settings: Any) -> Any:
        spec = declare(destination=AMQP | settings)
        one = open_destination(spec, paths, {"BROKER": url})
        destinations.append(one)
        return one

    yield open_it
    for one in destinations:
        one.close()


def change(number: int = 1, email: str = "ada@example.test") -> Change:
    return Change(
        number,
        f"msg_{number}",
        "welcome",
        f"u_{number}",
        "update",
        json.dumps({"email": email}),
        "2026-06-01T12:00:00.000000",
    )


def send(destination: Any, one: Change | None = None) -> Reply:
    (reply,) = destination.send(Batch("1", "welcome", (), (one or change(),)))
    assert isinstance(reply, Reply)
    return reply


def test_a_message_is_persistent_confirmed_and_named_by_its_key(
    opened: Any, queue: Queue
) -> None:
    assert send(opened()) == Reply("msg_1", "delivered", "confirmed")

    ((properties, body),) = queue.messages()
    assert properties.message_id == "msg_1"
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/json"
    assert properties.type == "welcome.update"
    assert properties.timestamp == 1_780_315_200
    assert body["data"]["unified_individual_id"] == "u_1"
    assert body["data"]["fields"] == {"email": "ada@example.test"}


def test_a_message_that_no_queue_takes_is_refused_and_not_lost(
    opened: Any, queue: Queue
) -> None:
    """A broker throws it away and confirms it, unless it is told to give it back."""
    queue.channel.queue_unbind("audience", "cdp", "audiences")
    destination = opened()

    reply = send(destination)

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert reply.reason == (
        "no queue of 'cdp' takes the routing key 'audiences': bind one, or mend "
        "`routing_key`"
    )
    queue.channel.queue_bind("audience", "cdp", "audiences")
    assert send(destination).outcome == "delivered"
    assert len(queue.messages()) == 1


def test_a_queue_that_is_full_is_waited_for(opened: Any, queue: Queue) -> None:
    queue.channel.queue_delete("audience")
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue.channel.queue_declare("audience", durable=True, arguments=full)
    queue.channel.queue_bind("audience", "cdp", "audiences")
    destination = opened()

    replies = [send(destination, change(number)) for number in (1, 2)]

    assert [reply.outcome for reply in replies] == ["delivered", "unavailable"]
    assert "may be full" in str(replies[1].reason)
    assert len(queue.messages()) == 1
    assert send(destination, change(2)).outcome == "delivered"


def test_a_message_that_one_of_two_queues_has_may_have_been_acted_on(
    opened: Any, queue: Queue
) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue.channel.queue_declare("full", durable=True, arguments=full)
    queue.channel.queue_bind("full", "cdp", "audiences")
    destination = opened()
    try:
        replies = [send(destination, change(number)) for number in (1, 2)]
    finally:
        queue.channel.queue_delete("full")

    assert (replies[1].outcome, replies[1].reached) == ("unavailable", True)
    assert [found.message_id for found, _ in queue.messages()] == ["msg_1", "msg_2"]


def test_an_exchange_that_is_missing_says_what_to_do(opened: Any, queue: Queue) -> None:
    destination = opened(exchange="elsewhere")

    reply = send(destination)

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert reply.reason == (
        "there is no exchange 'elsewhere': make it, or mend `exchange`"
    )
    queue.channel.exchange_declare("elsewhere", "fanout")
    queue.channel.queue_bind("audience", "elsewhere")
    assert send(destination).outcome == "delivered"
    queue.channel.exchange_delete("elsewhere")


def test_a_message_that_is_too_large_never_goes(opened: Any, queue: Queue) -> None:
    destination = opened()

    reply = send(destination, change(1, "x" * 200_000))

    assert reply.outcome == "rejected"
    assert reply.reason == "the broker takes no message so large"
    assert send(destination, change(2)).outcome == "delivered"


def test_a_wrong_password_closes_the_destination_and_is_not_shown(
    opened: Any, broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = send(opened(broker.replace("guest:guest", "guest:hunter2")))

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert reply.reason == "user, password or virtual host in BROKER refused"
    assert "hunter2" not in f"{reply} {caplog.text}"


def test_a_broker_that_does_not_listen_is_unavailable(opened: Any) -> None:
    reply = send(opened("amqp://guest:guest@127.0.0.1:9/%2f"))

    assert (reply.outcome, reply.reached) == ("unavailable", False)


def test_a_broker_that_says_nothing_is_not_waited_for_longer_than_said(
    opened: Any,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}/%2f"
        began = time.monotonic()
        reply = send(opened(url, timeout_seconds=0.3))

    assert reply.outcome == "unavailable"
    assert time.monotonic() - began < 10


def test_a_connection_that_the_broker_ended_is_made_anew(
    opened: Any, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdp_assets.activation.destinations import amqp

    monkeypatch.setattr(amqp, "_IDLE_SECONDS", -1.0)
    destination = opened()
    assert send(destination).outcome == "delivered"
    transport = destination._own.channel.connection._impl._transport
    transport._sock.shutdown(socket.SHUT_RDWR)

    assert send(destination, change(2)).outcome == "delivered"
    assert [found.message_id for found, _ in queue.messages()] == ["msg_1", "msg_2"]


def test_a_close_for_another_reason_may_have_reached_it(
    opened: Any, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an internal error nobody can say whether the message was taken."""
    destination = opened()
    assert send(destination).outcome == "delivered"

    def fails(*_: object, **__: object) -> None:
        raise pika.exceptions.ChannelClosedByBroker(541, "INTERNAL_ERROR")

    monkeypatch.setattr(destination._own.channel, "basic_publish", fails)
    reply = send(destination, change(2))

    assert (reply.outcome, reply.reached) == ("unavailable", True)
    assert reply.reason == "the broker closed the channel: 541"


def test_what_waits_is_delivered_once_each_by_several_threads(
    broker: str, queue: Queue, paths: Paths
) -> None:
    outbox = Outbox(paths.outbox)
    fill(outbox, range(200))
    spec = declare(destination=AMQP | {"concurrency": 4})

    result = deliver_activation(
        outbox, spec, paths, environ={"BROKER": broker}, at=AS_OF
    )

    assert result.delivered == 200
    keys = [found.message_id for found, _ in queue.messages()]
    assert len(keys) == len(set(keys)) == 200
    assert asked(outbox, "select distinct destination, reason from receipt") == [
        ("amqp", "confirmed")
    ]


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "amqp://u:hunter2@broker.example/%2f",
        "amqps://u@broker.example/%2f",
        "amqps://u:hunter2@broker.example/%2f?ssl_options={}",
        "amqps://u:hunter2@broker.example:port/",
    ],
)
def test_an_address_that_cannot_be_used_is_named_and_not_shown(
    paths: Paths, url: str
) -> None:
    spec = declare(destination=AMQP)
    with pytest.raises(NotConfiguredError, match="BROKER must be written") as caught:
        open_destination(spec, paths, {"BROKER": url})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(NotConfiguredError, match="set the environment variable"):
        open_destination(spec, paths, {})
