"""Files on S3, in a server that speaks it; it listens on a socket of this machine."""

import csv
import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.destinations.protocol import NotConfiguredError, Reply
from cdp_assets.activation.outbox import Outbox
from cdp_assets.paths import Paths
from tests.activation.filed import NAME, batch, change, outcome
from tests.activation.waiting import AS_OF, asked, declare, fill

pytest.importorskip("s3fs", reason="s3fs is not installed")
from cdp_assets.activation.destinations.s3 import S3Destination

S3 = {
    "kind": "s3",
    "format": "csv",
    "bucket": "audiences",
    "folder": "cdp/daily",
    "region": "eu-central-1",
    "access_key_env": "S3_KEY",
    "secret_key_env": "S3_SECRET",
    "endpoint_env": "S3_ENDPOINT",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a store with one bucket."""
    pytest.importorskip("moto", reason="moto is not installed")
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def environ(server: str) -> dict[str, str]:
    httpx.post(f"{server}/moto-api/reset").raise_for_status()
    # Any signature will do until a test says otherwise.
    httpx.post(f"{server}/moto-api/reset-auth", content=b"1000000")
    httpx.put(f"{server}/audiences").raise_for_status()
    return {"S3_KEY": "key", "S3_SECRET": "hunter2", "S3_ENDPOINT": server}


@pytest.fixture
def opened(environ: dict[str, str], tmp_path: Path) -> Iterator[Any]:
    destinations: list[S3Destination] = []

    def open_it(**settings: Any) -> S3Destination:
        spec: Any = declare(destination=S3 | settings).destination
        one = S3Destination.from_environment(spec, environ, tmp_path / "outgoing")
        destinations.append(one)
        return one

    yield open_it
    for one in destinations:
        one.close()


def reader(server: str) -> Any:
    """Amazon's own client: what it is given is what whoever fetches is given."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server,
        region_name="eu-central-1",
        aws_access_key_id="key",
        aws_secret_access_key="hunter2",
    )


def objects(server: str) -> dict[str, str]:
    """Per key what lies in the bucket."""
    client = reader(server)
    listed = client.list_objects_v2(Bucket="audiences").get("Contents", [])
    return {
        each["Key"]: client.get_object(Bucket="audiences", Key=each["Key"])["Body"]
        .read()
        .decode()
        for each in listed
    }


def test_a_batch_is_one_object_however_often_it_is_sent(
    opened: Any, server: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    destination = opened()
    for _ in range(2):
        replies = destination.send(
            batch(change(1), change(2, email="new@example.test"))
        )
        assert outcome(replies) == ("delivered", f"cdp/daily/{NAME}")

    ((key, text),) = objects(server).items()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert key == f"cdp/daily/{NAME}"
    assert [row["idempotency_key"] for row in rows] == ["msg_1", "msg_2"]
    assert [row["value"] for row in rows] == ["12.50", "12.50"]
    head = reader(server).head_object(Bucket="audiences", Key=key)
    assert head["ContentType"] == "text/csv; charset=utf-8"
    # What was sent is personal, and no copy of it stays on this machine.
    assert list((tmp_path / "outgoing").iterdir()) == []


def test_an_upload_in_parts_is_one_object_or_none(
    opened: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists the bucket must never see half of an audience."""
    from s3fs import core

    def small(size: int, chunksize: int | None = None) -> int:
        return 5 * 2**20

    monkeypatch.setattr(core, "calculate_chunksize", small)
    many = [change(n, email="x" * 3000 + f"{n}@example.test") for n in range(4_000)]
    destination = opened()
    destination.send(batch(*many))
    (text,) = objects(server).values()
    assert text.count("msg_") == 4_000
    client, key = reader(server), f"cdp/daily/{NAME}"
    assert "-3" in client.head_object(Bucket="audiences", Key=key)["ETag"]
    client.delete_object(Bucket="audiences", Key=key)

    async def broken(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError

    monkeypatch.setattr(
        destination._store, "_upload_file_part_concurrent", broken, raising=True
    )
    refused = destination.send(batch(*many))
    assert outcome(refused) == ("unavailable", "ConnectionResetError")
    assert objects(server) == {}
    assert "Uploads" not in client.list_multipart_uploads(Bucket="audiences")


def test_a_bucket_that_is_missing_closes_the_destination(opened: Any) -> None:
    (reply,) = opened(bucket="elsewhere").send(batch())

    assert reply.outcome == "unavailable"
    assert reply.reason == "NoSuchBucket: make the bucket, or mend `bucket`"
    assert not reply.reached


def test_a_key_that_nobody_knows_closes_the_destination(
    opened: Any, server: str
) -> None:
    httpx.post(f"{server}/moto-api/reset-auth", content=b"0")
    (reply,) = opened().send(batch())

    assert reply.outcome == "unavailable"
    assert reply.reason == "InvalidAccessKeyId: the access key is unknown there"
    assert "hunter2" not in str(reply)


class Saying:
    """A server that answers every request with one status and error code, or never."""

    def __init__(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>secret stuff</Message></Error>"
        self.answer = (
            f"HTTP/1.1 {status} X\r\ncontent-type: application/xml\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}"
        ).encode()
        self.status = status
        self.requests = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self) -> None:
        kept = []
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.requests += 1
            kept.append(connection)
            if self.status:
                # The package asks whether it may go on before it sends the object.
                while b"\r\n\r\n" not in connection.recv(65_536):
                    pass
                connection.sendall(self.answer)
                connection.close()


@pytest.mark.parametrize(
    ("status", "code", "outcome", "reason"),
    [
        (503, "SlowDown", "unavailable", "SlowDown"),
        (500, "InternalError", "unavailable", "InternalError"),
        (
            403,
            "AccessDenied",
            "unavailable",
            "AccessDenied: allow the key s3:PutObject",
        ),
        (400, "InvalidRequest", "failed", "InvalidRequest"),
        (400, "EntityTooLarge", "split", "EntityTooLarge"),
        (0, "", "unavailable", "TimeoutError"),
    ],
)
def test_every_answer_has_a_stated_meaning_and_is_asked_for_once(
    opened: Any,
    environ: dict[str, str],
    status: int,
    code: str,
    outcome: str,
    reason: str,
) -> None:
    """Tries that the package makes by itself are in no receipt and keep no pace."""
    saying = Saying(status, code)
    environ["S3_ENDPOINT"] = saying.url
    saying.thread.start()
    replies = opened(timeout_seconds=1.5 if not status else 15).send(
        batch(change(1), change(2))
    )
    saying.listener.close()

    assert {reply.outcome for reply in replies} == {outcome}
    assert str(replies[0].reason).startswith(reason)
    assert "secret stuff" not in str(replies)
    assert saying.requests == 1
    # What a store that fails within, or says nothing, did with the object is unknown.
    assert {reply.reached for reply in replies} == {status >= 500 or not status}


def test_a_store_that_does_not_listen_is_unavailable(
    opened: Any, environ: dict[str, str]
) -> None:
    environ["S3_ENDPOINT"] = "http://127.0.0.1:9"
    (reply,) = opened().send(batch())

    assert reply == Reply(
        "msg_1", "unavailable", "EndpointConnectionError", None, reached=False
    )


def test_what_waits_is_delivered_in_files_of_the_declared_size(
    environ: dict[str, str], server: str, paths: Paths
) -> None:
    outbox = Outbox(paths.outbox)
    fill(outbox, range(25))
    with outbox.connect() as connection:
        connection.execute(
            "insert into target_field values ('welcome', 1, 'email', 'VARCHAR')"
        )
    spec = declare(destination=S3 | {"rows_per_file": 10, "format": "ndjson"})

    result = deliver_activation(outbox, spec, paths, environ=environ, at=AS_OF)

    assert result.delivered == 25
    assert [text.count("\n") for text in objects(server).values()] == [10, 10, 5]
    assert asked(outbox, "select distinct destination from receipt") == [("s3:ndjson",)]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"S3_KEY": ""}, "set the environment variable S3_KEY"),
        ({"S3_ENDPOINT": ""}, "set the environment variable S3_ENDPOINT"),
        ({"S3_ENDPOINT": "http://store.example"}, "S3_ENDPOINT must be an https"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_shown(
    environ: dict[str, str], tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    spec: Any = declare(destination=S3).destination
    with pytest.raises(NotConfiguredError, match=complaint) as caught:
        S3Destination.from_environment(spec, environ | changes, tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"bucket": "Audiences"}, "is no bucket's name"),
        ({"folder": "a/../b"}, "is no folder"),
        ({"folder": "/a"}, "is no folder"),
        ({"concurrency": 4}, "concurrency"),
        ({"for_spreadsheets": True, "format": "parquet"}, "parquet keeps texts"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        declare(destination=S3 | settings)
