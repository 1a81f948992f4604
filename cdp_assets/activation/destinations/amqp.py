"""Messages to a broker that speaks AMQP 0-9-1, as RabbitMQ does, as a destination.

One persistent message per change, of which the broker confirms that it has it. Its
``message_id`` is the idempotency key, for a consumer to count a repetition once. What
no queue is bound for is returned and waits here: a broker would throw it away.
"""

import contextlib
import datetime as dt
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from cdp_assets.activation.destination_spec import AmqpSpec, BatchLimit, interval
from cdp_assets.activation.destinations.addresses import LOOPBACK
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.destinations.webhook import message_body

# A broker that is silent as we connect is told by an exception of its own family.
_NO_CONNECTION = (exceptions.AMQPError, AMQPConnectorException, OSError)
_LOST = (exceptions.AMQPError, OSError)
# Reply codes of the protocol, where the broker closes the channel over a message.
_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED = 403, 404, 406
# A connection that lay idle longer is asked for its heartbeats before it is used.
_IDLE_SECONDS = 2.0


class AmqpDestination:
    """Publishes changes to one exchange; each thread has a connection of its own."""

    batch = BatchLimit(rows=1)

    def __init__(self, spec: AmqpSpec, parameters: pika.URLParameters) -> None:
        """Remember the broker; nothing is connected yet."""
        self.label = "amqp"
        self.concurrency = spec.concurrency
        self.interval = interval(spec.rate) if spec.rate else None
        self.breaker_failures = spec.breaker_failures
        self._spec = spec
        self._parameters = parameters
        self._own = threading.local()
        self._opened: list[pika.BlockingConnection] = []
        # At ERROR pika logs what it raises as well, with addresses.
        logging.getLogger("pika").setLevel(logging.CRITICAL)

    @classmethod
    def from_environment(
        cls, spec: AmqpSpec, environ: Mapping[str, str]
    ) -> "AmqpDestination":
        """Read the broker's address from the variable that the declaration names.

        Raises:
            NotConfiguredError: It is missing or unusable; it is not shown.
        """
        name = spec.url_env
        if not environ.get(name):
            raise NotConfiguredError(f"set the environment variable {name}")
        try:
            parameters = _parameters(environ[name])
        except ValueError:
            raise NotConfiguredError(
                f"{name} must be written like amqps://user:password@host/virtual-host "
                "(plain amqp:// is for this machine's loopback only; the virtual host "
                "/ is written %2f)"
            ) from None
        parameters.socket_timeout = spec.timeout_seconds
        parameters.stack_timeout = spec.timeout_seconds
        parameters.blocked_connection_timeout = spec.timeout_seconds
        # A broker that is silent for two of them is taken for dead: nothing else ends
        # the wait for a confirmation.
        parameters.heartbeat = max(2, round(spec.timeout_seconds))
        parameters.connection_attempts = 1
        return cls(spec, parameters)

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Publish each change of the batch."""
        return [self._publish(change) for change in batch.changes]

    def close(self) -> None:
        """Close the connections; no thread may be sending."""
        for connection in self._opened:
            _close(connection)
        self._opened.clear()

    def _publish(self, change: Change) -> Reply:
        key = change.idempotency_key
        try:
            channel = self._channel()
        except _NO_CONNECTION as error:
            return Reply(key, "unavailable", self._why(error), reached=False)
        try:
            channel.basic_publish(
                self._spec.exchange,
                self._spec.routing_key,
                message_body(change),
                _properties(change),
                mandatory=True,
            )
        except exceptions.UnroutableError:
            return Reply(key, "unavailable", self._unroutable(), reached=False)
        except exceptions.NackError:
            # Of several queues bound to the exchange, others may have it.
            reason = "the broker does not take it: its queue may be full"
            return Reply(key, "unavailable", reason)
        except exceptions.ChannelClosedByBroker as error:
            return self._closed(key, error)
        except _LOST as error:
            # It may or may not have it: only the key can tell.
            self._drop()
            return Reply(key, "failed", type(error).__name__)
        self._own.used = time.monotonic()
        return Reply(key, "delivered", "confirmed")

    def _channel(self) -> Any:
        """This thread's channel, made anew where the broker has ended it.

        Raises:
            _NO_CONNECTION: The broker is not there, or refuses us.
        """
        channel = getattr(self._own, "channel", None)
        if channel is not None:
            if time.monotonic() - self._own.used > _IDLE_SECONDS:
                with contextlib.suppress(*_LOST):
                    channel.connection.process_data_events(0)
            if channel.is_open and channel.connection.is_open:
                return channel
            self._drop()
        connection = pika.BlockingConnection(self._parameters)
        self._opened.append(connection)
        self._own.channel = channel = connection.channel()
        self._own.used = time.monotonic()
        channel.confirm_delivery()
        return channel

    def _drop(self) -> None:
        """Have this thread connect anew; what is under way there is given up."""
        connection = self._own.channel.connection
        self._own.channel = None
        self._opened.remove(connection)
        _close(connection)

    def _closed(self, key: str, error: exceptions.ChannelClosedByBroker) -> Reply:
        """What it means that the broker closed the channel over a message."""
        if error.reply_code == _PRECONDITION_FAILED:
            return Reply(key, "rejected", "the broker takes no message so large")
        name = repr(self._spec.exchange)
        refused = {
            _NOT_FOUND: f"there is no exchange {name}: make it, or mend `exchange`",
            _ACCESS_REFUSED: f"the user may not write to the exchange {name}",
        }.get(error.reply_code)
        if refused:
            return Reply(key, "unavailable", refused, reached=False)
        # For another reason it may have closed it after it took the message.
        reason = f"the broker closed the channel: {error.reply_code}"
        return Reply(key, "unavailable", reason)

    def _unroutable(self) -> str:
        where = f"of {self._spec.exchange!r} " if self._spec.exchange else ""
        return (
            f"no queue {where}takes the routing key {self._spec.routing_key!r}: bind "
            "one, or mend `routing_key`"
        )

    def _why(self, error: Exception) -> str:
        refused = (
            exceptions.AuthenticationError,
            exceptions.ProbableAuthenticationError,
            exceptions.ProbableAccessDeniedError,
        )
        if isinstance(error, refused):
            return f"user, password or virtual host in {self._spec.url_env} refused"
        return type(error).__name__


def _parameters(url: str) -> pika.URLParameters:
    """Read an address.

    Raises:
        ValueError: It is none, or one that personal data may not go to.
    """
    parts = urlsplit(url)
    safe = parts.scheme == "amqps" or (
        parts.scheme == "amqp" and parts.hostname in LOOPBACK
    )
    # A query could switch off the check of the broker's certificate.
    if not safe or not parts.hostname or parts.query or parts.fragment:
        raise ValueError
    if parts.username is not None and parts.password is None:
        raise ValueError
    return pika.URLParameters(url)


def _properties(change: Change) -> pika.BasicProperties:
    planned = dt.datetime.fromisoformat(change.planned_at).replace(tzinfo=dt.UTC)
    return pika.BasicProperties(  # type: ignore[no-untyped-call]
        content_type="application/json",
        delivery_mode=pika.DeliveryMode.Persistent.value,
        message_id=change.idempotency_key,
        type=f"{change.activation}.{change.operation}",
        timestamp=int(planned.timestamp()),
    )


def _close(connection: pika.BlockingConnection) -> None:
    # Whether it says good-bye does not matter: what it confirmed stands.
    with contextlib.suppress(*_LOST):
        if connection.is_open:
            connection.close()
