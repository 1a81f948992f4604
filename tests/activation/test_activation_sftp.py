"""Files on an SFTP server: OpenSSH's own, started by the test, on a socket."""

import csv
import getpass
import os
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.destinations.protocol import NotConfiguredError, Reply
from cdp_assets.activation.outbox import Outbox
from cdp_assets.paths import Paths
from tests.activation.filed import NAME, batch, change, outcome
from tests.activation.waiting import AS_OF, asked, declare, fill

paramiko = pytest.importorskip("paramiko", reason="paramiko is not installed")

SFTP = {
    "kind": "sftp",
    "format": "csv",
    "url_env": "SFTP_URL",
    "key_env": "SFTP_KEY",
    "host_keys_env": "SFTP_HOST",
}
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/us.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp {options}
"""


def keygen(path: Path, kind: str = "ed25519", phrase: str = "") -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", phrase, "-C", "", "-f", str(path)],
        check=True,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """An OpenSSH server that can be stopped and started."""

    def __init__(self, folder: Path, options: str = "") -> None:
        self.folder, self.port = folder, free_port()
        keygen(folder / "host")
        keygen(folder / "us")
        self.config = folder / "sshd_config"
        self.config.write_text(
            CONFIG.format(port=self.port, folder=folder, options=options)
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("sshd") or "/usr/sbin/sshd"
        self.process = subprocess.Popen(
            [binary, "-D", "-E", str(self.folder / "log"), "-f", str(self.config)]
        )
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return
        raise AssertionError("sshd does not listen")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)

    @property
    def environ(self) -> dict[str, str]:
        public = (self.folder / "host.pub").read_text()
        return {
            "SFTP_URL": f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}",
            "SFTP_KEY": (self.folder / "us").read_text(),
            "SFTP_HOST": f"# as ssh-keyscan writes it\n[127.0.0.1]:1 {public}",
        }


def found() -> bool:
    return shutil.which("sshd") is not None or Path("/usr/sbin/sshd").exists()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not found():
        pytest.skip("OpenSSH's server is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    running = Server(tmp_path_factory.mktemp("sshd"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(server: Server, upload: Path, tmp_path: Path) -> Iterator[Any]:
    from cdp_assets.activation.destinations.sftp import SftpDestination

    destinations: list[SftpDestination] = []

    def open_it(environ: Any = None, **settings: Any) -> SftpDestination:
        spec: Any = declare(
            destination=SFTP | {"folder": str(upload)} | settings
        ).destination
        one = SftpDestination.from_environment(
            spec, server.environ | (environ or {}), tmp_path / "outgoing"
        )
        destinations.append(one)
        return one

    yield open_it
    for one in destinations:
        one.close()


def test_a_batch_is_one_whole_file_however_often_it_is_sent(
    opened: Any, upload: Path, tmp_path: Path
) -> None:
    destination = opened()
    for email in ("first@example.test", "second@example.test"):
        replies = destination.send(batch(change(1, email), change(2)))
        assert outcome(replies) == ("delivered", NAME)

    (file,) = upload.iterdir()
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert file.name == NAME
    assert [(row["idempotency_key"], row["email"]) for row in rows] == [
        ("msg_1", "second@example.test"),
        ("msg_2", "p2@example.test"),
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    # What was sent is personal, and no copy of it stays on this machine.
    assert list((tmp_path / "outgoing").iterdir()) == []


def test_whoever_looks_meanwhile_sees_no_half_of_a_file(
    opened: Any, upload: Path
) -> None:
    """A partner fetches whatever is there at the minute."""
    many = [change(n, "x" * 2000 + f"{n}@example.test") for n in range(4_000)]
    seen: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.update(each.stat().st_size for each in upload.glob("*.csv"))
            time.sleep(0.001)

    watching = threading.Thread(target=look)
    watching.start()
    destination = opened()
    for _ in range(2):
        assert outcome(destination.send(batch(*many)))[0] == "delivered"
    done.set()
    watching.join()

    assert seen == {(upload / NAME).stat().st_size}
    assert [each.name for each in upload.iterdir()] == [NAME]


def test_what_a_killed_sender_left_is_written_anew(opened: Any, upload: Path) -> None:
    (upload / f".{NAME}.part").write_text("half of a fi")

    assert outcome(opened().send(batch())) == ("delivered", NAME)
    assert [each.name for each in upload.iterdir()] == [NAME]


def test_a_server_that_knows_plain_renaming_only_is_served_too(
    tmp_path: Path, upload: Path
) -> None:
    if not found():
        pytest.skip("OpenSSH's server is not installed")
    from cdp_assets.activation.destinations.sftp import SftpDestination

    folder = tmp_path / "plain"
    folder.mkdir()
    plain = Server(folder, "-P posix-rename")
    plain.start()
    spec: Any = declare(destination=SFTP | {"folder": str(upload)}).destination
    destination = SftpDestination.from_environment(spec, plain.environ, tmp_path / "o")
    try:
        for email in ("first@example.test", "second@example.test"):
            sent = destination.send(batch(change(1, email)))
            assert outcome(sent) == ("delivered", NAME)
    finally:
        destination.close()
        plain.stop()

    (file,) = upload.iterdir()
    assert "second@example.test" in file.read_text()


def test_a_server_of_another_key_gets_nothing(
    opened: Any, upload: Path, tmp_path: Path
) -> None:
    """Whoever stands between would get everybody's address."""
    keygen(tmp_path / "other")
    other = (tmp_path / "other.pub").read_text()

    (reply,) = opened({"SFTP_HOST": other}).send(batch())

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert "ask the server's owner, then replace it in SFTP_HOST" in reply.reason
    assert list(upload.iterdir()) == []


def test_a_server_that_nobody_knows_gets_nothing(
    opened: Any, upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (reply,) = opened(host_keys_env=None).send(batch())

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert "put it into ~/.ssh/known_hosts" in reply.reason
    assert list(upload.iterdir()) == []


def test_the_known_hosts_of_whoever_runs_this_are_trusted(
    opened: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    public = (server.folder / "host.pub").read_text()
    (tmp_path / ".ssh" / "known_hosts").write_text(
        f"[127.0.0.1]:{server.port} {public}"
    )
    assert outcome(opened(host_keys_env=None).send(batch()))[0] == "delivered"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_may_be_a_file_and_locked(
    opened: Any, server: Server, tmp_path: Path, kind: str
) -> None:
    keygen(tmp_path / "mine", kind, "open sesame")
    with (server.folder / "us.pub").open("a") as trusted:
        trusted.write((tmp_path / "mine.pub").read_text())
    environ = {"SFTP_KEY": str(tmp_path / "mine"), "PHRASE": "open sesame"}

    replies = opened(environ, passphrase_env="PHRASE").send(batch())

    assert outcome(replies)[0] == "delivered"


def test_a_key_that_the_server_does_not_trust_closes_the_destination(
    opened: Any, tmp_path: Path
) -> None:
    keygen(tmp_path / "mine")
    (reply,) = opened({"SFTP_KEY": str(tmp_path / "mine")}).send(batch())

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert reply.reason.startswith("refused: the server lets")


class Asking(paramiko.ServerInterface):
    """A server that wants a password, and has no files."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self.heard.append((username, password))
        if password == "hunter2":
            return int(paramiko.AUTH_SUCCESSFUL)
        return int(paramiko.AUTH_FAILED)


@pytest.mark.parametrize(
    ("password", "reason"),
    [("hunter2", "ChannelException"), ("hunter3", "refused: the server lets ada")],
)
def test_a_password_is_given_as_it_is_set(
    opened: Any, server: Server, password: str, reason: str
) -> None:
    """OpenSSH would ask this machine's users for theirs: here a server of its own."""
    asking = Asking()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            transport = paramiko.Transport(listener.accept()[0])
            host = paramiko.Ed25519Key.from_private_key_file(server.folder / "host")
            transport.add_server_key(host)
            transport.start_server(server=asking)

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        destination = opened(
            {"SFTP_URL": f"sftp://ada@127.0.0.1:{port}", "SFTP_PASSWORD": password},
            key_env=None,
            password_env="SFTP_PASSWORD",
        )
        (reply,) = destination.send(batch())

    assert reply.outcome == "unavailable"
    assert reply.reason.startswith(reason)
    assert password not in f"{reply} {destination._access}"
    assert asking.heard == [("ada", password)]


def test_a_server_that_goes_away_is_waited_for(
    server: Server, opened: Any, upload: Path
) -> None:
    destination = opened()
    assert outcome(destination.send(batch()))[0] == "delivered"
    transport = destination._client.get_transport()
    transport.sock.shutdown(socket.SHUT_RDWR)
    transport.join(5)
    assert outcome(destination.send(batch()))[0] == "delivered"

    server.stop()
    destination.close()
    (reply,) = destination.send(batch())
    server.start()

    assert reply == Reply(
        "msg_1", "unavailable", "NoValidConnectionsError", None, reached=False
    )
    assert outcome(destination.send(batch()))[0] == "delivered"


def test_a_server_that_says_nothing_is_not_waited_for_longer_than_said(
    opened: Any,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"sftp://ada@127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        (reply,) = opened({"SFTP_URL": address}, timeout_seconds=0.3).send(batch())

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert time.monotonic() - began < 10


class Silent(Asking):
    """A server whose file service never says a word, as one stuck on its disk."""

    def __init__(self, *, answers: bool) -> None:
        super().__init__()
        self.answers, self.done = answers, threading.Event()

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_subsystem_request(self, channel: Any, name: str) -> bool:
        if not self.answers:
            self.done.wait(60)
        return True


@pytest.mark.parametrize("answers", [True, False])
def test_a_file_service_that_says_nothing_is_given_up(
    opened: Any, server: Server, answers: bool
) -> None:
    """It would hold up everything that waits for this destination, for ever."""
    silent = Silent(answers=answers)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            transport = paramiko.Transport(listener.accept()[0])
            host = paramiko.Ed25519Key.from_private_key_file(server.folder / "host")
            transport.add_server_key(host)
            transport.start_server(server=silent)
            silent.done.wait(60)
            transport.close()

        threading.Thread(target=serve, daemon=True).start()
        destination = opened(
            {
                "SFTP_URL": f"sftp://ada@127.0.0.1:{listener.getsockname()[1]}",
                "SFTP_PASSWORD": "hunter2",
            },
            key_env=None,
            password_env="SFTP_PASSWORD",
            timeout_seconds=1,
        )
        replies: list[Reply] = []
        sending = threading.Thread(
            target=lambda: replies.extend(destination.send(batch())), daemon=True
        )
        sending.start()
        sending.join(20)
        silent.done.set()

    assert replies == [
        Reply("msg_1", "unavailable", "TimeoutError", None, reached=False)
    ]


def test_a_folder_that_is_missing_says_what_to_do(opened: Any) -> None:
    (reply,) = opened(folder="/nowhere/at/all").send(batch())
    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert reply.reason == "the folder is not there: make it, or mend `folder`"


def test_a_file_that_cannot_be_put_in_place_is_tried_again_later(
    opened: Any, upload: Path
) -> None:
    (upload / NAME / "in the way").mkdir(parents=True)
    assert outcome(opened().send(batch())) == (
        "failed",
        "the server could not write the file",
    )


def test_what_waits_is_delivered_in_files_of_the_declared_size(
    server: Server, upload: Path, paths: Paths
) -> None:
    outbox = Outbox(paths.outbox)
    fill(outbox, range(25))
    with outbox.connect() as connection:
        connection.execute(
            "insert into target_field values ('welcome', 1, 'email', 'VARCHAR')"
        )
    spec = declare(
        destination=SFTP
        | {"rows_per_file": 10, "format": "ndjson", "folder": str(upload)}
    )

    result = deliver_activation(outbox, spec, paths, environ=server.environ, at=AS_OF)

    assert result.delivered == 25
    files = sorted(upload.iterdir())
    assert [file.read_text().count("\n") for file in files] == [10, 10, 5]
    assert asked(outbox, "select distinct destination from receipt") == [
        ("sftp:ndjson",)
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"SFTP_URL": ""}, "set the environment variable SFTP_URL"),
        ({"SFTP_URL": "sftp://u:hunter2@host"}, "SFTP_URL must be written like"),
        ({"SFTP_URL": "sftp://host"}, "SFTP_URL must be written like"),
        ({"SFTP_URL": "sftp://u@host/folder"}, "the folder and the names"),
        ({"SFTP_URL": "sftp://u@host:port"}, "SFTP_URL must be written like"),
        ({"SFTP_KEY": "/no/such/hunter2"}, r"SFTP_KEY must be .* \(FileNotFound"),
        (
            {"SFTP_KEY": "-----BEGIN PRIVATE KEY-----\nhunter2\n"},
            "SFTP_KEY: no private key that can be read",
        ),
        ({"SFTP_HOST": "hunter2"}, "SFTP_HOST must hold the server's public keys"),
        ({"SFTP_HOST": "h ssh-ed25519 AAAA"}, "SFTP_HOST must hold the server's"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_shown(
    opened: Any, changes: dict[str, str], complaint: str
) -> None:
    with pytest.raises(NotConfiguredError, match=complaint) as caught:
        opened(changes)
    assert "hunter2" not in str(caught.value)


def test_a_locked_key_without_its_passphrase_says_so(
    opened: Any, tmp_path: Path
) -> None:
    keygen(tmp_path / "mine", phrase="open sesame")
    with pytest.raises(NotConfiguredError, match="name the variable with its pass"):
        opened({"SFTP_KEY": str(tmp_path / "mine")})


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"password_env": "P"}, "write one of password_env and key_env"),
        ({"key_env": None}, "write one of password_env and key_env"),
        ({"key_env": None, "password_env": "P", "passphrase_env": "Q"}, "no key_env"),
        ({"folder": "../x"}, "is no folder"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        declare(destination=SFTP | settings)
