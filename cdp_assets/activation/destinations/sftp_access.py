"""Getting into an SFTP server: its address, its host key, and our key or password.

A server whose host key is not known beforehand is not talked to; there is no setting
that would change this, because whoever stands between would get everybody's data.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import paramiko
from paramiko.hostkeys import HostKeyEntry

from cdp_assets.activation.destination_spec import SftpSpec
from cdp_assets.activation.destinations.protocol import NotConfiguredError

_KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class NoAccessError(Exception):
    """The server was not got into; the message says why, and holds nothing secret."""


@dataclass(frozen=True)
class Access:
    """What is needed to get in."""

    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    key: paramiko.PKey | None = field(default=None, repr=False)
    # None: those of whoever runs this.
    host_keys: tuple[paramiko.PKey, ...] | None = None
    # Where host keys are looked for, in words.
    trusted: str = "~/.ssh/known_hosts"

    def connect(self, timeout: float) -> paramiko.SSHClient:
        """Connect and log in.

        Args:
            timeout: Seconds that each step of it may take.

        Raises:
            NoAccessError: It is not there, is another, or refuses us.
        """
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_Refusing())
        if self.host_keys is None:
            client.load_system_host_keys()
        for each in self.host_keys or ():
            client.get_host_keys().add(self._name, each.get_name(), each)
        try:
            client.connect(
                self.host,
                self.port,
                self.user,
                self.password,
                self.key,
                timeout=timeout,
                banner_timeout=timeout,
                auth_timeout=timeout,
                channel_timeout=timeout,
                # Only what was declared is offered to a server.
                allow_agent=False,
                look_for_keys=False,
            )
        except (paramiko.SSHException, OSError, EOFError) as error:
            client.close()
            raise NoAccessError(self._why(error)) from None
        return client

    @property
    def _name(self) -> str:
        """As known_hosts names a server."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    def _why(self, error: Exception) -> str:
        if isinstance(error, _UnknownHostError):
            return (
                "host key unknown: compare what ssh-keyscan prints with what the "
                f"server's owner says, and put it into {self.trusted}"
            )
        if isinstance(error, paramiko.BadHostKeyException):
            return (
                "host key is another than the one known: ask the server's owner, then "
                f"replace it in {self.trusted}"
            )
        if isinstance(error, paramiko.AuthenticationException):
            return f"refused: the server lets {self.user} not in with what we have"
        return type(error).__name__


class _UnknownHostError(paramiko.SSHException):
    pass


class _Refusing(paramiko.MissingHostKeyPolicy):
    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        raise _UnknownHostError


def read_access(spec: SftpSpec, environ: Mapping[str, str]) -> Access:
    """Read address and secrets from the variables that a declaration names.

    Raises:
        NotConfiguredError: One is missing or unusable; names it and shows no value.
    """
    optional = (
        spec.password_env,
        spec.key_env,
        spec.passphrase_env,
        spec.host_keys_env,
    )
    for name in (spec.url_env, *optional):
        if name is not None and not environ.get(name):
            raise NotConfiguredError(f"set the environment variable {name}")
    host, port, user = _address(spec.url_env, environ[spec.url_env])
    trusted = spec.host_keys_env
    return Access(
        host,
        port,
        user,
        environ[spec.password_env] if spec.password_env else None,
        _private_key(spec, environ) if spec.key_env else None,
        _host_keys(trusted, environ[trusted]) if trusted else None,
        trusted or Access.trusted,
    )


def _address(name: str, url: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or 22
    except ValueError:
        parts, port = urlsplit(""), 0
    rest = (parts.path.strip("/"), parts.query, parts.fragment)
    if (
        parts.scheme != "sftp"
        or not parts.hostname
        or not parts.username
        or parts.password is not None
        or any(rest)
    ):
        raise NotConfiguredError(
            f"{name} must be written like sftp://user@host:22; the folder and the "
            "names of the variables with password or key stand in the YAML"
        )
    return parts.hostname, port, unquote(parts.username)


def _private_key(spec: SftpSpec, environ: Mapping[str, str]) -> paramiko.PKey:
    name = str(spec.key_env)
    text = environ[name]
    if "PRIVATE KEY-----" not in text:
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise NotConfiguredError(
                f"{name} must be a private key or the path of its file, and that "
                f"cannot be read ({type(error).__name__})"
            ) from None
    phrase = environ[spec.passphrase_env] if spec.passphrase_env else None
    for kind in _KEYS:
        try:
            return kind.from_private_key(io.StringIO(text), phrase)
        except paramiko.PasswordRequiredException:
            raise NotConfiguredError(
                f"{name}: the key is locked; name the variable with its passphrase "
                "as passphrase_env"
            ) from None
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise NotConfiguredError(
        f"{name}: no private key that can be read with what is set (Ed25519, ECDSA "
        "or RSA, in OpenSSH's or PEM form)"
    )


def _host_keys(name: str, text: str) -> tuple[paramiko.PKey, ...]:
    """The keys of known_hosts lines, with or without the hosts before them."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        # A .pub file begins with the kind of key, known_hosts with the hosts.
        is_bare = len(fields) > 1 and fields[1].startswith("AAAA")
        known = " ".join(["server", *fields] if is_bare else fields)
        try:
            entry = HostKeyEntry.from_line(known)
        except (paramiko.SSHException, ValueError):
            entry = None
        if entry is None or entry.key is None:
            raise NotConfiguredError(
                f"{name} must hold the server's public keys, one a line, as "
                "ssh-keyscan writes them: host ssh-ed25519 AAAA…"
            )
        found.append(entry.key)
    return tuple(found)
