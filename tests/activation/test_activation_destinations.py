"""Destinations: files that are whole or absent, webhooks that verify elsewhere too."""

import base64
import csv
import datetime as dt
import hashlib
import hmac
import json
import random
import stat
import sys
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from cdp_assets.activation.destination_spec import (
    FileSpec,
    Retry,
    WebhookSpec,
    variables,
)
from cdp_assets.activation.destinations.file import FileDestination
from cdp_assets.activation.destinations.opening import open_destination
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.destinations.webhook import (
    WebhookDestination,
    message_body,
)
from cdp_assets.activation.receiver import Faults, receiving
from cdp_assets.activation.retry import backoff, pause, retry_after
from cdp_assets.activation.signing import (
    SignatureError,
    new_secret,
    read_secrets,
    signed_headers,
    verify,
)
from cdp_assets.paths import Paths
from tests.activation.conftest import WEBHOOK
from tests.activation.contracts import serving

NOW = dt.datetime(2026, 6, 1, 12)
FIELDS = (
    ("email", "VARCHAR"),
    ("value", "DECIMAL(18,2)"),
    ("since", "TIMESTAMP"),
    ("tags", "JSON"),
)


def change(sequence: int = 1, operation: str = "add", **payload: Any) -> Change:
    content = {
        "email": f"p{sequence}@example.test",
        "value": 9999999999999.99,
        "since": "2026-05-01 10:00:00",
        "tags": ["a", "b"],
    } | payload
    return Change(
        sequence,
        f"msg_{sequence:032x}",
        "welcome",
        f"u_{sequence:016x}",
        operation,  # type: ignore[arg-type]
        json.dumps(content),
        "2026-06-01T12:00:00.000000",
    )


def batch(*changes: Change) -> Batch:
    return Batch("000000000001-000000000002-abc", "welcome", FIELDS, changes)


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_batch_becomes_one_file_with_a_row_per_change(
    tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "out"
    destination = FileDestination(FileSpec(kind="file", format=kind), folder)

    replies = destination.send(
        batch(change(2, "remove", email='a,"b"\nc'), change(1, value=None))
    )

    (file,) = folder.iterdir()
    assert file.name == f"welcome-000000000001-000000000002-abc.{kind}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [reply.outcome for reply in replies] == ["delivered", "delivered"]
    if kind == "csv":
        with file.open(newline="") as source:
            first, second = csv.DictReader(source)
        assert first["value"] == ""
        assert second["value"] == "9999999999999.99"
        assert second["tags"] == '["a","b"]'
    elif kind == "ndjson":
        first, second = map(json.loads, file.read_text().splitlines())
        assert first["value"] is None
        assert '"value":9999999999999.99' in file.read_text()
        assert second["tags"] == ["a", "b"]
    else:
        table = pq.read_table(file)
        assert str(table.schema.field("since").type).startswith("timestamp")
        first, second = table.to_pylist()
        assert first["value"] is None
        assert second["value"] == Decimal("9999999999999.99")
    assert [first["operation"], second["operation"]] == ["add", "remove"]
    assert first["idempotency_key"] == change(1).idempotency_key
    assert second["email"] == 'a,"b"\nc'


@pytest.mark.parametrize("safe", [False, True])
def test_a_name_that_is_a_formula_is_one_only_to_programs(
    tmp_path: Path, safe: bool
) -> None:
    """=HYPERLINK(…) as a first name ran in the spreadsheet of whoever opened it."""
    spec = FileSpec(kind="file", format="csv", for_spreadsheets=safe)
    texts = ["=1+1", "+4912345", "-x", "@x", "\tx", "x=1", "'=1", ""]

    FileDestination(spec, tmp_path).send(
        batch(*(change(n, email=text) for n, text in enumerate(texts)))
    )

    (file,) = tmp_path.iterdir()
    with file.open(newline="") as source:
        found = [row["email"] for row in csv.DictReader(source)]
    assert found == [f"'{t}" if safe and n < 5 else t for n, t in enumerate(texts)]


def test_only_csv_has_formulas() -> None:
    with pytest.raises(ValueError, match="for_spreadsheets: parquet keeps"):
        FileSpec(kind="file", format="parquet", for_spreadsheets=True)


def test_the_same_batch_again_writes_the_same_file_again(tmp_path: Path) -> None:
    """A crash after the rename must not leave two files with the same rows."""
    destination = FileDestination(FileSpec(kind="file", format="csv"), tmp_path)
    destination.send(batch(change(1)))
    (before,) = [(file.name, file.read_bytes()) for file in tmp_path.iterdir()]
    destination.send(batch(change(1)))

    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [before]


def test_a_file_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    """Whoever fetches files must never see half of one."""
    destination = FileDestination(FileSpec(kind="file", format="csv"), tmp_path)
    broken = Batch("1-1-abc", "welcome", (("email", "NO SUCH TYPE"),), (change(1),))

    with pytest.raises(Exception, match="TYPE"):
        destination.send(broken)

    assert list(tmp_path.iterdir()) == []


def hook(url: str, secret: str, **settings: Any) -> WebhookDestination:
    spec = WebhookSpec(
        kind="webhook", url_env="HOOK_URL", secret_env="HOOK_SECRET", **settings
    )
    return WebhookDestination.from_environment(
        spec, {"HOOK_URL": url, "HOOK_SECRET": secret}
    )


def post(destination: WebhookDestination, *changes: Change) -> list[Reply]:
    try:
        return list(destination.send(batch(*changes)))
    finally:
        destination.close()


def test_the_reference_implementation_verifies_our_signature() -> None:
    secret = new_secret()
    body = message_body(change(1, email='é"\\ü@example.test'))
    stamp = int(dt.datetime.now(dt.UTC).timestamp())
    headers = signed_headers(read_secrets(secret), "msg_1", stamp, body)

    message = Webhook(secret).verify(body, headers)

    assert message["type"] == "welcome.add"
    assert message["timestamp"] == "2026-06-01T12:00:00.000000Z"
    assert message["data"]["unified_individual_id"] == f"u_{1:016x}"
    assert message["data"]["fields"]["email"] == 'é"\\ü@example.test'
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


def test_we_verify_what_the_reference_implementation_signs() -> None:
    secret = new_secret()
    now = dt.datetime.now(dt.UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, "{}"),
    }

    assert verify(read_secrets(secret), headers, b"{}", now.timestamp()) == "msg_1"


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"webhook-id": "msg_2"}, "no signature matches"),
        ({"webhook-timestamp": "1000301"}, "301 s away"),
        ({"webhook-timestamp": "soon"}, "malformed"),
        ({"webhook-signature": "v1,AAAA v2,é"}, "no signature matches"),
        ({"webhook-signature": ""}, "no signature matches"),
    ],
)
def test_a_message_that_is_not_what_was_signed_is_refused(
    broken: dict[str, str], complaint: str
) -> None:
    keys = read_secrets(new_secret())
    headers = signed_headers(keys, "msg_1", 1_000_000, b"{}") | broken

    with pytest.raises(SignatureError, match=complaint):
        verify(keys, headers, b"{}", 1_000_000)


def test_a_secret_can_be_replaced_while_both_are_valid() -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers(read_secrets(f"{new} {old}"), "msg_1", 1_000_000, b"{}")

    for secret in (old, new):
        verify(read_secrets(secret), headers, b"{}", 1_000_000)


@pytest.mark.parametrize(
    "secret", ["", "hello", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!!"]
)
def test_a_weak_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        read_secrets(secret)


def test_a_change_is_acted_on_once_however_often_it_is_sent(
    receiver: Any, hook_secret: str
) -> None:
    for _ in range(3):
        (reply,) = post(hook(receiver.url, hook_secret), change(1))
        assert reply.outcome == "delivered"

    (line,) = receiver.path.read_text().splitlines()
    assert json.loads(line)["id"] == change(1).idempotency_key
    assert stat.S_IMODE(receiver.path.stat().st_mode) == 0o600


def test_a_restarted_receiver_remembers_its_keys(
    tmp_path: Path, hook_secret: str
) -> None:
    for _ in range(2):
        with receiving(tmp_path / "got.ndjson", hook_secret) as receiver:
            post(hook(receiver.url, hook_secret), change(1))
            assert receiver.acted == 1
    assert len((tmp_path / "got.ndjson").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("fault", "outcome", "reason", "acted"),
    [
        ("500", "failed", "HTTP 500", 0),
        ("400", "rejected", "HTTP 400", 0),
        ("429", "unavailable", "HTTP 429", 0),
        ("429-date", "unavailable", "HTTP 429", 0),
        ("drop-before", "failed", "RemoteProtocolError", 0),
        ("drop-after", "failed", "RemoteProtocolError", 1),
        ("slow", "failed", "ReadTimeout", 1),
        ("half", "delivered", "HTTP 200", 1),
    ],
)
def test_every_answer_has_a_stated_meaning(
    tmp_path: Path,
    hook_secret: str,
    fault: Any,
    outcome: str,
    reason: str,
    acted: int,
) -> None:
    faults = Faults(script=[fault], retry_after_seconds=7, slow_seconds=0.5)
    with receiving(tmp_path / "got.ndjson", hook_secret, faults=faults) as receiver:
        destination = hook(receiver.url, hook_secret, timeout_seconds=0.2)
        (reply,) = post(destination, change(1))
        if fault == "slow":
            receiver.wait_until_idle()

        assert (reply.outcome, reply.reason) == (outcome, reason)
        assert receiver.acted == acted
        if fault.startswith("429"):
            assert reply.retry_after == pytest.approx(7, abs=2)
            assert not reply.reached


def test_a_wrong_secret_closes_the_endpoint_and_not_the_change(receiver: Any) -> None:
    """A typing error in a setting must not turn the queue into dead letters."""
    (reply,) = post(hook(receiver.url, new_secret()), change(1))

    assert (reply.outcome, reply.reason) == ("unavailable", "HTTP 401")


def test_a_destination_that_does_not_listen_is_unavailable(hook_secret: str) -> None:
    (reply,) = post(hook("http://127.0.0.1:9/", hook_secret), change(1))

    assert (reply.outcome, reply.reason) == ("unavailable", "ConnectError")
    assert not reply.reached


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({}, "HOOK_URL"),
        ({"HOOK_URL": "https://a.example"}, "HOOK_SECRET"),
        (
            {"HOOK_URL": "http://a.example", "HOOK_SECRET": new_secret()},
            "HOOK_URL must be an https",
        ),
        (
            {"HOOK_URL": "file:///etc/passwd", "HOOK_SECRET": new_secret()},
            "HOOK_URL must be an https",
        ),
        (
            {"HOOK_URL": "https://a.example", "HOOK_SECRET": "hunter2"},
            "HOOK_SECRET: a secret is written whsec_",
        ),
    ],
)
def test_a_missing_or_unusable_setting_is_named_and_not_shown(
    activation: Any, paths: Paths, environ: dict[str, str], complaint: str
) -> None:
    with pytest.raises(NotConfiguredError, match=complaint) as caught:
        open_destination(activation(), paths, environ)
    assert "hunter2" not in str(caught.value)


FILES = {"format": "csv"}
S3 = {"kind": "s3", "bucket": "b12", "access_key_env": "A", "secret_key_env": "S"}


@pytest.mark.parametrize(
    ("package", "destination"),
    [
        ("s3fs.core", S3 | FILES),
        ("paramiko", {"kind": "sftp", "url_env": "U", "key_env": "K"} | FILES),
        ("pika", {"kind": "amqp", "url_env": "U", "routing_key": "audience"}),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    activation: Any,
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    destination: dict[str, str],
) -> None:
    kind = destination["kind"]
    for name in (kind, "sftp_access"):
        module = f"cdp_assets.activation.destinations.{name}"
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(NotConfiguredError, match=rf"'cdp-assets\[{kind}\]'"):
        open_destination(activation(destination=destination), paths, {})


def test_a_destination_says_which_variables_it_waits_for(activation: Any) -> None:
    """`cdp run` names those that are not set: nothing else says why nothing leaves."""

    def named(**destination: Any) -> tuple[str, ...]:
        return variables(activation(destination=destination).destination)

    assert named(kind="file", format="csv") == ()
    assert named(**WEBHOOK) == ("HOOK_URL", "HOOK_SECRET")
    assert set(named(**S3, **FILES)) == {"A", "S"}
    assert set(
        named(kind="sftp", url_env="U", key_env="K", host_keys_env="H", **FILES)
    ) == {"U", "K", "H"}
    assert named(
        kind="http", template="hubspot", environment={"token": "CDP_TOKEN"}
    ) == ("CDP_TOKEN",)


def test_retry_after_is_read_in_both_its_forms() -> None:
    later = (NOW + dt.timedelta(seconds=90)).replace(tzinfo=dt.UTC)
    assert retry_after("120", NOW) == 120
    assert retry_after(format_datetime(later, usegmt=True), NOW) == 90
    assert retry_after("Mon, 01 Jun 2026 11:00:00 GMT", NOW) == 0
    assert retry_after("9999999999", NOW) == 86_400
    assert retry_after("soon", NOW) is None
    assert retry_after("-5", NOW) is None
    assert retry_after(None, NOW) is None


@given(st.text(max_size=40))
def test_no_retry_after_header_stops_a_delivery(text: str) -> None:
    """The header is the destination's to write, and it may write anything."""
    seconds = retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= 86_400


@given(st.integers(1, 10_000), st.randoms(use_true_random=False))
def test_the_back_off_doubles_up_to_its_cap_and_all_of_it_is_drawn(
    failures: int, rng: Any
) -> None:
    policy = Retry(base_seconds=2, cap_seconds=3600)
    full = min(3600, 2 * 2.0 ** min(failures - 1, 60))
    assert 0 <= backoff(policy, failures, rng) <= full
    assert full / 2 <= pause(policy, failures, rng) <= full


def test_changes_that_failed_together_come_back_spread_out() -> None:
    """A receiver that was down is struck by all of them at once otherwise."""
    rng = random.Random(3)
    delays = sorted(backoff(Retry(base_seconds=10), 1, rng) for _ in range(1000))

    assert [sum(d < edge for d in delays) // 100 for edge in (2.5, 5, 7.5, 10)] == [
        pytest.approx(share, abs=1) for share in (2, 5, 7, 10)
    ]
    again = random.Random(3)
    assert delays == sorted(
        backoff(Retry(base_seconds=10), 1, again) for _ in range(1000)
    )


def test_a_data_cloud_receiver_finds_its_envelope_and_its_signature(
    tmp_path: Path,
) -> None:
    """Checked as its documentation tells a receiver to: HMAC-SHA256, Base64."""
    seen: list[tuple[dict[str, str], bytes]] = []

    def contract(*_: Any) -> tuple[int, Any]:
        return 200, {}

    with serving(contract, seen) as service:
        spec = WebhookSpec(
            kind="webhook", form="data_cloud", url_env="URL", secret_env="SECRET"
        )
        environ = {"URL": service.url, "SECRET": "a secret of theirs"}
        destination = WebhookDestination.from_environment(spec, environ)
        (reply,) = post(destination, change(1, "update", email="é@example.test"))

    assert reply.outcome == "delivered"
    ((headers, body),) = seen
    expected = hmac.new(b"a secret of theirs", body, hashlib.sha256).digest()
    assert base64.b64decode(headers["x-signature"]) == expected
    message = json.loads(body)
    (event,) = message["events"]
    assert message["count"] == 1
    assert event["EventPrompt"] == "UPDATE"
    assert event["EventUuid"] == change(1).idempotency_key
    assert json.loads(event["PayloadCurrentValue"])["email"] == "é@example.test"
