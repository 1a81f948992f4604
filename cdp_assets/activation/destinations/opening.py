"""From an activation's declaration and the environment to an open destination."""

import os
from collections.abc import Mapping

from cdp_assets.activation.destination_spec import FileSpec, HttpSpec, SqlSpec
from cdp_assets.activation.destinations.protocol import Destination
from cdp_assets.activation.sendable import Sendable
from cdp_assets.paths import Paths


def open_destination(
    spec: Sendable, paths: Paths, environ: Mapping[str, str] | None = None
) -> Destination:
    """Open the destination of an activation.

    Args:
        spec: The activation.
        paths: The runtime folder, where file destinations write.
        environ: Settings by name; default: the process's environment.

    Raises:
        NotConfiguredError: A setting is missing or unusable; names it.
    """
    if isinstance(spec.destination, FileSpec):
        from cdp_assets.activation.destinations.file import FileDestination

        folder = paths.outgoing / (spec.destination.folder or spec.name)
        return FileDestination(spec.destination, folder)
    settings = os.environ if environ is None else environ
    if isinstance(spec.destination, HttpSpec):
        from cdp_assets.activation.destinations.http import HttpDestination

        return HttpDestination.from_environment(spec.destination, settings)
    if isinstance(spec.destination, SqlSpec):
        from cdp_assets.activation.destinations.sql import SqlDestination

        return SqlDestination.from_environment(spec.destination, settings)
    from cdp_assets.activation.destinations.webhook import WebhookDestination

    return WebhookDestination.from_environment(spec.destination, settings)
