"""From an activation's declaration and the environment to an open destination."""

import contextlib
import os
from collections.abc import Iterator, Mapping

from cdp_assets.activation.destination_spec import (
    AmqpSpec,
    FileSpec,
    HttpSpec,
    S3Spec,
    SftpSpec,
    SqlSpec,
    WebhookSpec,
)
from cdp_assets.activation.destinations.protocol import (
    Destination,
    NotConfiguredError,
)
from cdp_assets.activation.sendable import Sendable
from cdp_assets.paths import Paths


def open_destination(
    spec: Sendable, paths: Paths, environ: Mapping[str, str] | None = None
) -> Destination:
    """Open the destination of an activation.

    Args:
        spec: The activation.
        paths: The runtime folder, where files are written.
        environ: Settings by name; default: the process's environment.

    Raises:
        NotConfiguredError: A setting or package is missing or unusable; names it.
    """
    destination = spec.destination
    settings = os.environ if environ is None else environ
    if isinstance(destination, FileSpec):
        from cdp_assets.activation.destinations.file import FileDestination

        folder = paths.outgoing / (destination.folder or spec.name)
        return FileDestination(destination, folder)
    if isinstance(destination, S3Spec):
        with _extra("s3"):
            from cdp_assets.activation.destinations.s3 import S3Destination
        return S3Destination.from_environment(destination, settings, paths.outgoing)
    if isinstance(destination, SftpSpec):
        with _extra("sftp"):
            from cdp_assets.activation.destinations.sftp import SftpDestination
        return SftpDestination.from_environment(destination, settings, paths.outgoing)
    return _open_service(destination, settings)


def _open_service(
    spec: AmqpSpec | HttpSpec | SqlSpec | WebhookSpec, settings: Mapping[str, str]
) -> Destination:
    """Open one that takes changes themselves, and no files of them."""
    if isinstance(spec, AmqpSpec):
        with _extra("amqp"):
            from cdp_assets.activation.destinations.amqp import AmqpDestination
        return AmqpDestination.from_environment(spec, settings)
    if isinstance(spec, HttpSpec):
        from cdp_assets.activation.destinations.http import HttpDestination

        return HttpDestination.from_environment(spec, settings)
    if isinstance(spec, SqlSpec):
        from cdp_assets.activation.destinations.sql import SqlDestination

        return SqlDestination.from_environment(spec, settings)
    from cdp_assets.activation.destinations.webhook import WebhookDestination

    return WebhookDestination.from_environment(spec, settings)


@contextlib.contextmanager
def _extra(name: str) -> Iterator[None]:
    """Say which extra brings the package that a destination needs."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise NotConfiguredError(
            f"kind: {name} needs the package {error.name}, which is not installed: "
            f"pip install 'cdp-assets[{name}]'"
        ) from None
