"""What every test shares: a runtime folder and a warehouse of its own."""

from pathlib import Path

import pytest

from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A runtime folder that nothing else uses."""
    root = tmp_path / "data"
    root.mkdir()
    return Paths(root)


@pytest.fixture
def warehouse(paths: Paths) -> Warehouse:
    """The warehouse of that folder; a test that has to wait for it is wrong."""
    return Warehouse(paths, wait_seconds=10)
