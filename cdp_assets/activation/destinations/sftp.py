"""Files on an SFTP server as a destination.

A file is written beside its place under a hidden name, then renamed, so whoever fetches
sees whole files only. The same batch has the same name and replaces itself. A server
without OpenSSH's renaming over what is there loses the earlier copy for a moment.
"""

import contextlib
import errno
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import paramiko

from cdp_assets.activation.destination_spec import BatchLimit, SftpSpec, interval
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.destinations.sftp_access import (
    Access,
    NoAccessError,
    read_access,
)
from cdp_assets.activation.destinations.whole_file import written

# SFTP's own answers; they concern every file.
_REMEDIES = {
    errno.ENOENT: "the folder is not there: make it, or mend `folder`",
    errno.EACCES: "the user may not write there",
}
# What one message of the protocol carries.
_PIECE = 32_768
# Firewalls forget a connection that is silent between two batches after some minutes.
_KEEPALIVE_SECONDS = 30


class SftpDestination:
    """Writes batches into a folder of a server, over one connection."""

    concurrency = 1

    def __init__(self, spec: SftpSpec, access: Access, outgoing: Path) -> None:
        """Remember where to write; nothing is connected yet.

        Args:
            spec: The declaration.
            access: How to get in.
            outgoing: Where files are made before they leave.
        """
        self.label = f"sftp:{spec.format}"
        self.batch = BatchLimit(rows=spec.rows_per_file)
        self.interval = interval(spec.rate) if spec.rate else None
        self.breaker_failures = spec.breaker_failures
        self._spec = spec
        self._access = access
        self._outgoing = outgoing
        self._client: paramiko.SSHClient | None = None

    @classmethod
    def from_environment(
        cls, spec: SftpSpec, environ: Mapping[str, str], outgoing: Path
    ) -> "SftpDestination":
        """Read address and secrets from the variables that the declaration names.

        Raises:
            NotConfiguredError: One is missing or unusable; names it.
        """
        return cls(spec, read_access(spec, environ), outgoing)

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Write the batch; it is delivered once the file bears its name."""
        with written(batch, self._spec, self._outgoing) as file:
            try:
                sftp = self._session()
            except NoAccessError as error:
                return _all(batch, "unavailable", str(error), reached=False)
            except (paramiko.SSHException, OSError, EOFError) as error:
                self.close()
                reason = type(error).__name__
                return _all(batch, "unavailable", reason, reached=False)
            try:
                with sftp:
                    self._upload(sftp, file)
            except (paramiko.SSHException, OSError, EOFError) as error:
                return self._refusals(batch, error)
        return _all(batch, "delivered", file.name)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _session(self) -> paramiko.SFTPClient:
        """The server's file service, given up where it does not answer in time.

        Raises:
            NoAccessError: The server is not there, is another, or refuses us.
            paramiko.SSHException, OSError, EOFError: It has no such service now.
        """
        seconds = self._spec.timeout_seconds
        transport = self._connected()
        with _no_longer_than(seconds, transport):
            channel = transport.open_session(timeout=seconds)
            channel.settimeout(seconds)
            channel.invoke_subsystem("sftp")
            return paramiko.SFTPClient(channel)

    def _connected(self) -> paramiko.Transport:
        """The connection, made anew where the server has ended it."""
        transport = self._client.get_transport() if self._client else None
        if transport is None or not transport.is_active():
            self.close()
            self._client = self._access.connect(self._spec.timeout_seconds)
            transport = self._client.get_transport()
            if transport is None:
                raise EOFError
            transport.set_keepalive(_KEEPALIVE_SECONDS)
        return transport

    def _upload(self, sftp: paramiko.SFTPClient, file: Path) -> None:
        folder = f"{self._spec.folder}/" if self._spec.folder else ""
        part, target = f"{folder}.{file.name}.part", f"{folder}{file.name}"
        with file.open("rb") as source, sftp.file(part, "wb") as copy:
            # Before anything personal is in it; some servers know no modes.
            with contextlib.suppress(OSError):
                copy.chmod(0o640)
            copy.set_pipelined(True)
            shutil.copyfileobj(source, copy, _PIECE)
        if sftp.stat(part).st_size != file.stat().st_size:
            raise OSError(errno.EIO, "incomplete")
        _replace(sftp, part, target)

    def _refusals(self, batch: Batch, error: Exception) -> list[Reply]:
        """What an error on the way means; a repetition writes the same file again."""
        if isinstance(error, OSError) and error.errno in _REMEDIES:
            return _all(batch, "unavailable", _REMEDIES[error.errno], reached=False)
        self.close()
        lost = (paramiko.SSHException, EOFError, ConnectionError, TimeoutError)
        if isinstance(error, lost):
            return _all(batch, "unavailable", type(error).__name__)
        # As when its disk is full; the server's words may name what was sent.
        return _all(batch, "failed", "the server could not write the file")


@contextlib.contextmanager
def _no_longer_than(seconds: float, transport: paramiko.Transport) -> Iterator[None]:
    """End the connection if the block takes longer; paramiko would wait for ever.

    Raises:
        TimeoutError: It took longer.
    """
    is_over = threading.Event()

    def give_up() -> None:
        is_over.set()
        transport.close()

    watchdog = threading.Timer(seconds, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except (paramiko.SSHException, OSError, EOFError):
        if is_over.is_set():
            raise TimeoutError from None
        raise
    finally:
        watchdog.cancel()


def _replace(sftp: paramiko.SFTPClient, part: str, target: str) -> None:
    try:
        sftp.posix_rename(part, target)
    except OSError as error:
        if error.errno not in (None, errno.EACCES):
            raise
        # Perhaps it knows, or allows, plain renaming only: that needs a free place.
        with contextlib.suppress(FileNotFoundError):
            sftp.remove(target)
        sftp.rename(part, target)


def _all(
    batch: Batch, outcome: Any, reason: str, *, reached: bool = True
) -> list[Reply]:
    return [
        Reply(change.idempotency_key, outcome, reason, None, reached)
        for change in batch.changes
    ]
